# `nix flake check`: guests that boot, and what the modules say.
{ self, nixpkgs, system, pkgs }:
let
  inherit (nixpkgs) lib;
  examples = import ../examples { inherit self nixpkgs; };
  marker = "the guest has run";

  # Boots a guest that says so and powers off; emulated, for builders need not have KVM.
  boots = name: module: expect: pkgs.runCommand "boots-${name}" {
    runner = (examples.make system "qemu" {
      imports = [ module ];
      networking.hostName = name;
      microvm = {
        shares = lib.mkForce [ ];
        # A processor that is emulated, so that no builder needs KVM.
        cpu = if system == "aarch64-linux" then "cortex-a72" else "max";
        interfaces = lib.mkForce [ ];
      };
      systemd.services.say = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig.Type = "oneshot";
        script = lib.mkAfter ''
          echo "${marker}" > /dev/console
          poweroff -f
        '';
      };
    }).config.microvm.declaredRunner;
  } ''
    export HOME=$PWD MICROVM_CACHE=$PWD/cache
    timeout 300 "$runner/bin/microvm-run" </dev/null >log 2>&1 || true
    for wanted in ${lib.escapeShellArgs ([ marker ] ++ expect)}; do
      if ! grep -q "$wanted" log; then
        echo "the guest did not say: $wanted" >&2
        tail -n 50 log >&2
        exit 1
      fi
    done
    cp log "$out"
  '';
in
{
  boots-from-store-disk = boots "disk" { } [ ];

  boots-with-overlay-and-volume = boots "overlay" {
    microvm = {
      writableStoreOverlay = "/nix/.rw-store";
      volumes = [
        { image = "rw-store.img"; mountPoint = "/nix/.rw-store"; size = 64; }
        { image = "data.img"; mountPoint = "/data"; size = 32; }
      ];
    };
    systemd.services.say.script = ''
      touch /nix/store/written /data/written && echo "store and volume can be written" > /dev/console
    '';
  } [ "store and volume can be written" ];

  boots-from-squashfs = boots "squashfs" { microvm.storeDiskType = "squashfs"; } [ ];

  options = import ./options.nix { inherit self nixpkgs system pkgs; };
}
