# What a NixOS guest is told so that it boots, and finds its store's database.
{ config, lib, pkgs, ... }:
let
  cfg = config.microvm;
  overlay = cfg.writableStoreOverlay;
  inherit (config.system.build) toplevel microvmRegistration;
  isX86 = pkgs.stdenv.hostPlatform.isx86_64;
in
lib.mkIf cfg.guest.enable {
  boot = {
    loader.grub.enable = false;
    initrd.kernelModules = [ "virtio_mmio" "virtio_pci" "virtio_blk" ]
      ++ lib.optionals (lib.any (share: share.proto == "9p") cfg.shares) [ "9pnet_virtio" "9p" ]
      ++ lib.optional (lib.any (share: share.proto == "virtiofs") cfg.shares) "virtiofs"
      ++ lib.optional (overlay != null) "overlay"
      ++ lib.optional cfg.storeOnDisk cfg.storeDiskType
      # The keyboard controller takes Ctrl-Alt-Del.
      ++ lib.optionals (isX86 && cfg.hypervisor == "firecracker") [ "i8042" "atkbd" ];
    # They take time at boot, and virtual machines have nothing for them.
    blacklistedKernelModules = [ "rfkill" "intel_pstate" ] ++ lib.optional (!cfg.graphics.enable) "drm";

    # The registration is read at each boot: what is new in the system is registered too. With a
    # writable store the database is kept on the overlay's volume, or what was built would be lost.
    postBootCommands = lib.mkIf (cfg.registerClosure && config.nix.enable or true) (lib.mkBefore ''
      ${lib.optionalString (overlay != null) ''
        mkdir -p ${overlay}/var /nix/var/nix
        mount --bind ${overlay}/var /nix/var/nix
      ''}
      for word in $(cat /proc/cmdline); do
        case $word in
          regInfo=*) ${lib.getExe' config.nix.package "nix-store"} --load-db < "''${word#regInfo=}" ;;
        esac
      done
    '');
  };

  microvm.kernelParams = config.boot.kernelParams
    ++ [ "init=${toplevel}/init" ]
    ++ lib.optional cfg.registerClosure "regInfo=${microvmRegistration}/registration";

  systemd = {
    # The daemon has nothing to do where it cannot write.
    services.nix-daemon.enable = lib.mkDefault (overlay != null);
    sockets.nix-daemon.enable = lib.mkDefault (overlay != null);
    services.mount-pstore.enable = false;
    generators.systemd-gpt-auto-generator = "/dev/null";
  };
}
