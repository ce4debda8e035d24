# `nix run .#vm` and the other programs of the examples.
{ self, nixpkgs, system, pkgs }:
let
  inherit (nixpkgs) lib;
  examples = import ./. { inherit self nixpkgs; };
  app = program: { type = "app"; program = toString program; };
  runner = module: "${(examples.make system "qemu" module).config.microvm.declaredRunner}/bin/microvm-run";
in
{
  # A guest that is a host of guests, one for each hypervisor.
  vm = app (runner (import ./nested.nix { inherit self nixpkgs system; }));

  qemu-vnc = app (runner {
    networking.hostName = "qemu-vnc";
    microvm = {
      interfaces = [ { type = "user"; id = "user0"; mac = "02:00:00:02:03:01"; } ];
      graphics.enable = true;
      graphics.backend = "headless";
      qemu.extraArgs = [ "-vnc" ":0" "-vga" "qxl" "-device" "virtio-keyboard" "-usb" "-device" "usb-tablet,bus=usb-bus.0" ];
    };
  });

  graphics = app (runner {
    networking.hostName = "graphical-microvm";
    hardware.graphics.enable = true;
    environment.systemPackages = lib.optional (pkgs ? foot) pkgs.foot;
    microvm = {
      graphics.enable = true;
      interfaces = [ { type = "user"; id = "user0"; mac = "02:00:00:02:03:02"; } ];
    };
  });

  # Takes windows that guests send over vsock.
  waypipe-client = app (pkgs.writeShellScript "waypipe-client" ''
    exec ${lib.getExe' pkgs.waypipe "waypipe"} --vsock -s 6000 client
  '');
}
