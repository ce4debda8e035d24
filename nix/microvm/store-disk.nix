# The store disk: the guest's closure, made of the store as it lies there.
{ config, options, lib, pkgs, ... }:
let
  cfg = config.microvm;
  host = cfg.vmHostPackages;
  microvm = host.callPackage ../packages/microvm.nix { };
  closure = pkgs.closureInfo { rootPaths = [ config.system.build.toplevel ] ++ lib.optional cfg.registerClosure registration; };
  registration = config.system.build.microvmRegistration;
  # The disk is named by the definition, not the other way round.
  definition = {
    inherit (cfg) storeDiskType;
    storeOnDisk = true;
  } // lib.optionalAttrs (options.microvm.storeDiskErofsFlags.highestPrio < 1500) { inherit (cfg) storeDiskErofsFlags; }
    // lib.optionalAttrs (options.microvm.storeDiskSquashfsFlags.highestPrio < 1500) { inherit (cfg) storeDiskSquashfsFlags; };
in
{
  # What registers the closure in the guest's own Nix database.
  system.build.microvmRegistration = pkgs.closureInfo { rootPaths = [ config.system.build.toplevel ]; };
  # For `microvm.guest.storeClosure`: the system, and what registers it.
  system.build.microvmClosure = "${closure}/store-paths";

  microvm.storeDisk = lib.mkDefault (host.runCommand "microvm-store-disk.${cfg.storeDiskType}" {
    nativeBuildInputs = [ microvm host.erofs-utils host.squashfsTools ];
    definition = builtins.toJSON definition;
    # An image refers to nothing that a host would need beside it.
    __structuredAttrs = true;
    unsafeDiscardReferences.out = true;
  } ''
    printf %s "$definition" > definition.json
    microvm nix store-disk --definition definition.json --name ${lib.escapeShellArg config.networking.hostName} \
      --closure ${closure}/store-paths --kernel-release ${config.boot.kernelPackages.kernel.version} --out "$out"
  '');
}
