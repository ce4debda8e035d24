# Units of systemd as files, for hosts: nothing boots them here.
{ config, lib, pkgs, ... }:
let
  render = value: if value == true then "true" else if value == false then "false" else toString value;
  section = name: values: lib.optionalString (values != { }) "[${name}]\n${lib.concatStrings (lib.mapAttrsToList
    (key: value: lib.concatMapStrings (one: "${key}=${render one}\n") (lib.toList value)) values)}";
  text = name: unit: section "Unit" (unit.unitConfig
      // lib.optionalAttrs (unit.description != "") { Description = unit.description; }
      // lib.optionalAttrs (unit.restartTriggers != [ ]) { X-Restart-Triggers = unit.restartTriggers; })
    + section "Service" (unit.serviceConfig
      // lib.optionalAttrs (unit.script != "") { ExecStart = pkgs.writeShellScript "start-${lib.head (lib.splitString "@" name)}" unit.script; });
  path = name: unit: if unit.overrideStrategy == "asDropin" then "${name}.service.d/overrides.conf" else "${name}.service";
  wanted = lib.filterAttrs (_: target: target.wants or [ ] != [ ]) config.systemd.targets;
  target = name: unit: lib.nameValuePair "systemd/system/${name}.target.d/overrides.conf" { text = section "Unit" { Wants = toString unit.wants; }; };
  file = name: unit: lib.nameValuePair "systemd/system/${path name unit}" { text = text name unit; };
  packaged = lib.concatMap (package: [ package ]) config.systemd.packages;
in
{
  environment.etc = lib.mapAttrs' file (lib.filterAttrs (_: unit: unit.script != "" || unit.serviceConfig != { }) config.systemd.services)
    // lib.mapAttrs' target wanted;
  system.build.units = pkgs.runCommand "system-units" { } ''
    mkdir $out
    ${lib.concatMapStrings (package: ''
      for dir in ${package}/lib/systemd/system ${package}/etc/systemd/system; do
        if test -d $dir; then cp -rs $dir/. $out/; chmod -R u+w $out; fi
      done
    '') packaged}
    if test -d ${config.system.build.etc}/etc/systemd/system; then cp -rs ${config.system.build.etc}/etc/systemd/system/. $out/; fi
  '';
}
