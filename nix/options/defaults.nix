# Defaults that follow from other options.
{ config, lib, pkgs }:
let
  cfg = config.microvm;
  inherit (config.networking) hostName;
  host = cfg.vmHostPackages;
  isAarch64 = pkgs.stdenv.hostPlatform.isAarch64;
  kernelIs = lib.versionAtLeast config.boot.kernelPackages.kernel.version;
  digest = builtins.hashString "sha256" "microvm.nix:${hostName}";
  part = from: length: builtins.substring from length digest;
in
{
  # Of the lists' members, which the table calls null where TOML has no word for it.
  required = [ "volumes.*.mountPoint" ];

  shareSocket = tag: "${hostName}-virtiofs-${tag}.sock";

  computed = {
    "alioth.package" = host.alioth;
    "cloud-hypervisor.package" = if cfg.graphics.enable then host.cloud-hypervisor-graphics or host.cloud-hypervisor else host.cloud-hypervisor;
    "crosvm.package" = host.crosvm;
    "firecracker.package" = host.firecracker;
    "graphics.crosvmPackage" = host.crosvm;
    "kvmtool.package" = host.kvmtool;
    "qemu.package" =
      let minimal = if host.stdenv.hostPlatform == pkgs.stdenv.hostPlatform && cfg.cpu == null then host.qemu_kvm else host.qemu;
      in if cfg.graphics.enable then host.qemu else minimal;
    "stratovirt.package" = host.stratovirt;
    "vfkit.package" = host.vfkit;
    "virtiofsd.package" = host.virtiofsd;
    "vmHostPackages" = pkgs;

    "graphics.backend" = if cfg.hypervisor == "vfkit" then "cocoa" else "gtk";
    "graphics.socket" = "${hostName}-gpu.sock";
    "hotpluggedMem" = cfg.hotplugMem;
    "machineId" = lib.concatStringsSep "-" [ (part 0 8) (part 8 4) (part 12 4) (part 16 4) (part 20 12) ];
    "qemu.machine" = if isAarch64 then "virt" else "microvm";
    "registerClosure" = cfg.guest.enable;
    "socket" = "${hostName}.sock";
    "storeDiskErofsFlags" = [ "-zlz4hc" ]
      ++ lib.optional (kernelIs "5.16") "-Eztailpacking"
      ++ lib.optional (kernelIs "6.1") "-Efragments";
    # The hardened profile has no erofs.
    "storeDiskType" = if lib.elem "erofs" config.boot.blacklistedKernelModules then "squashfs" else "erofs";
    "storeOnDisk" = !lib.any (share: share.source == "/nix/store") cfg.shares;
    "systemSymlink" = !cfg.storeOnDisk;

    "kernel" = config.boot.kernelPackages.kernel;
    "initrdPath" = "${config.system.build.initialRamdisk}/${config.system.boot.loader.initrdFile}";
  };
}
