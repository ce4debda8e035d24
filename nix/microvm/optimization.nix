# Makes a guest smaller and quicker to boot; each of these can be set otherwise.
{ config, lib, ... }:
let
  cfg = config.microvm;
  canSwitch = cfg.writableStoreOverlay != null || lib.any (share: share.source == "/nix/store") cfg.shares;
in
lib.mkIf (cfg.guest.enable && cfg.optimize.enable) {
  # A kernel with the modules that the machine has, and no others, is quick to load.
  boot.initrd.includeDefaultModules = lib.mkDefault false;
  documentation.enable = lib.mkDefault false;
  documentation.nixos.enable = lib.mkDefault false;
  environment.defaultPackages = lib.mkDefault [ ];
  fonts.fontconfig.enable = lib.mkDefault cfg.graphics.enable;
  programs.command-not-found.enable = lib.mkDefault false;
  # No host waits for an address that may come later.
  systemd.network.wait-online.enable = lib.mkDefault false;
  system.switch.enable = lib.mkDefault canSwitch;
}
