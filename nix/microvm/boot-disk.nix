# A disk with kernel and initrd, for a hypervisor that boots nothing else.
{ config, lib, ... }:
let
  cfg = config.microvm;
  pkgs = cfg.vmHostPackages;
  params = lib.concatStringsSep " " cfg.kernelParams;
in
{
  microvm.bootDisk = lib.mkDefault (pkgs.runCommand "microvm-boot.img" {
    nativeBuildInputs = [ pkgs.dosfstools pkgs.mtools ];
    inherit params;
    passAsFile = [ "params" ];
  } ''
    {
      echo "title ${config.networking.hostName}"
      echo "linux /linux"
      echo "initrd /initrd"
      echo "options $(cat "$paramsPath")"
    } > entry.conf
    kernel=${cfg.kernel}/${config.system.boot.loader.kernelFile}
    size=$(( ($(stat -Lc %s "$kernel") + $(stat -Lc %s ${cfg.initrdPath})) / 1024 + 8192 ))
    mkfs.vfat -C -n BOOT "$out" "$size"
    mmd -i "$out" ::loader ::loader/entries
    mcopy -i "$out" "$kernel" ::linux
    mcopy -i "$out" ${cfg.initrdPath} ::initrd
    mcopy -i "$out" entry.conf ::loader/entries/entry.conf
  '');
}
