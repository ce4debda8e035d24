# The system itself: packages, checks, and the guest's second stage, which busybox runs.
{ config, lib, pkgs, ... }:
let
  inherit (config.system.build) etc;
  failed = lib.filter (one: !one.assertion) config.assertions;
  checked = value:
    if failed != [ ] then throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (one: "- ${one.message}") failed}"
    else lib.foldl' (all: message: lib.warn message all) value config.warnings;

  wanted = lib.filterAttrs (_: unit: unit.enable && unit.script != "" && unit.wantedBy != [ ]) config.systemd.services;
  start = name: unit: ''
    echo "starting ${name}"
    (${pkgs.writeShellScript "unit-${name}" unit.script}) </dev/null || echo "${name} failed"
  '';
  # What runs beside the guest's own work.
  daemons = lib.filterAttrs (_: unit: unit.enable && unit.script == "" && unit.wantedBy != [ ] && unit.serviceConfig ? ExecStart && unit.serviceConfig.Type or "simple" == "simple") config.systemd.services;
  run = name: unit: ''
    echo "running ${name}"
    ${unit.serviceConfig.ExecStart} </dev/null >/dev/null 2>&1 &
  '';
  late = lib.filter (fs: !(lib.elem fs.mountPoint config.system.build.mountedEarly)) (lib.attrValues config.fileSystems);
  depth = fs: lib.length (lib.splitString "/" fs.mountPoint);
  mounts = lib.sort (a: b: depth a < depth b) late;

  init = pkgs.writeShellScript "init" ''
    export PATH=${pkgs.busybox}/bin HOME=/root USER=root
    for each in "proc /proc" "sysfs /sys" "devtmpfs /dev" "tmpfs /run" "tmpfs /tmp"; do
      set -- $each
      mkdir -p $2
      grep -q " $2 " /proc/mounts 2>/dev/null || mount -t $1 $1 $2
    done
    mkdir -p /etc /root /bin /var/log
    ln -sfn ${pkgs.busybox}/bin/sh /bin/sh
    # What runs as PID 1 here knows no signal that asks for it.
    ln -sfn ${pkgs.writeShellScript "poweroff" "sync; exec ${pkgs.busybox}/bin/poweroff -f"} /bin/poweroff
    cp -rL ${etc}/etc/. /etc/ 2>/dev/null
    hostname ${config.networking.hostName}
    ${lib.concatMapStrings (fs: ''
      mkdir -p ${fs.mountPoint}
      mount -t ${fs.fsType} -o ${lib.concatStringsSep "," (lib.filter (o: !lib.hasPrefix "x-" o) fs.options)} $(resolve ${fs.device} 2>/dev/null || echo ${fs.device}) ${fs.mountPoint} || echo "cannot mount ${fs.mountPoint}"
    '') mounts}
    ${config.boot.postBootCommands}
    ip link set lo up
    ${lib.concatStrings (lib.mapAttrsToList run daemons)}
    ${lib.concatStrings (lib.mapAttrsToList start wanted)}
    echo "${config.networking.hostName} is up"
    # The power button, where the hypervisor has one.
    acpid -f -l /dev/null 2>/dev/null &
    while sleep 60; do :; done
  '';
in
{
  nixpkgs.pkgs = lib.mkDefault (import ../. { inherit (config.nixpkgs.hostPlatform) system; inherit (config.nixpkgs) overlays config; });
  boot.kernelPackages = lib.mkDefault pkgs.linuxPackages;
  nix.package = lib.mkDefault pkgs.nix;
  environment.etc."acpi/PWRF/00000080".text = "#!/bin/sh\npoweroff -f\n";
  environment.etc."passwd".text = "root:x:0:0:root:/root:/bin/sh\n";
  environment.etc."hostname".text = config.networking.hostName;

  system.build.etc = pkgs.runCommand "etc" { } ''
    mkdir -p $out/etc
    ${lib.concatStrings (lib.mapAttrsToList (name: file: ''
      mkdir -p "$(dirname "$out/etc/${name}")"
      ln -s ${if file.source != null then file.source else pkgs.writeText "etc-file" file.text} "$out/etc/${name}"
    '') config.environment.etc)}
  '';

  system.build.toplevel = checked (pkgs.runCommand "nixos-system-${config.networking.hostName}-${config.system.nixos.release}" { } ''
    mkdir -p $out/sw/bin
    cp ${init} $out/init
    ln -s ${etc}/etc $out/etc
    echo ${config.system.nixos.release} > $out/nixos-version
    ${lib.concatMapStrings (package: "for each in ${package}/bin/*; do ln -sf $each $out/sw/bin/; done\n") config.environment.systemPackages}
  '');
}
