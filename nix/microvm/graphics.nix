# A guest with a window: sound and the devices that desktops look for.
{ config, lib, ... }:
lib.mkIf (config.microvm.guest.enable && config.microvm.graphics.enable) {
  boot.kernelModules = [ "drm" "virtio_gpu" ];
  hardware.graphics.enable = lib.mkDefault true;
  environment.etc."profile.d/microvm-graphics.sh".text = "export GDK_BACKEND=wayland SDL_VIDEODRIVER=wayland\n";
}
