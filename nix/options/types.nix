# Types of options that the program's own table cannot say in Nix's words: packages, ports, paths.
{ lib, pkgs }:
let
  inherit (lib) types;
  package = types.package;
  path = types.path;
in
{
  "alioth.package" = package;
  "cloud-hypervisor.package" = package;
  "crosvm.package" = package;
  "declaredRunner" = package;
  "deploy.installOnHost" = package;
  "deploy.rebuild" = types.nullOr package;
  "deploy.sshSwitch" = types.nullOr package;
  "firecracker.package" = package;
  "graphics.crosvmPackage" = package;
  "kernel" = package;
  "kvmtool.package" = package;
  "qemu.package" = package;
  "stratovirt.package" = package;
  "vfkit.package" = package;
  "virtiofsd.package" = package;
  "runner" = types.attrsOf package;
  "vmHostPackages" = types.pkgs;

  "bootDisk" = path;
  "initrdPath" = path;
  "storeDisk" = path;
  "credentialFiles" = types.attrsOf path;
  "shares.*.mountPoint" = path;
  "volumes.*.mountPoint" = types.nullOr path;

  "forwardPorts.*.guest.port" = types.port;
  "forwardPorts.*.host.port" = types.port;
  "mem" = types.ints.positive;
  "vcpu" = types.ints.positive;
  "hotplugMem" = types.ints.unsigned;
  "hotpluggedMem" = types.ints.unsigned;
  "initialBalloonMem" = types.ints.unsigned;
  "qemu.pcieRootPorts.*.chassis" = types.nullOr types.int;
  "virtiofsd.threadPoolSize" = types.either types.str types.ints.unsigned;
  "volumes.*.size" = types.int;
  "vsock.cid" = types.nullOr types.int;

  "binScripts" = types.attrsOf types.lines;
  "preStart" = types.lines;
  "shares.*.source" = types.nonEmptyStr;
  "volumes.*.fsType" = types.str;
  "guest.enable" = types.bool;
  "guest.storeClosure" = types.nullOr path;
  "firecracker.cpu" = types.nullOr types.attrs;
  "firecracker.extraConfig" = types.submodule { freeformType = (pkgs.formats.json { }).type; };
}
