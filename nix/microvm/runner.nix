# Runner packages, written by the program inside of the derivation.
{ config, options, lib, pkgs, ... }:
let
  cfg = config.microvm;
  host = cfg.vmHostPackages;
  inherit (import ../lib { inherit lib; }) hypervisors buildRunner;
in
{
  microvm = {
    runner = lib.genAttrs hypervisors (hypervisor: buildRunner { inherit config options hypervisor; pkgs = host; guestPlatform = pkgs.stdenv.hostPlatform; });
    declaredRunner = lib.mkDefault cfg.runner.${cfg.hypervisor};
  };
}
