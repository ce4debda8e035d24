# Programs that bring a guest to a host over SSH, and switch a running one.
{ config, lib, pkgs, ... }:
let
  cfg = config.microvm;
  inherit (config.networking) hostName;
  inherit (config.system.build) toplevel;
  runner = cfg.declaredRunner;
  program = name: text: pkgs.writeShellScriptBin name ''
    set -eu
    host=''${1:?usage: ${name} HOST [options of ssh]}
    shift
    ${text}
  '';
  copy = path: ''nix --extra-experimental-features nix-command copy --to "ssh-ng://$host" ${path}'';
  canSwitch = config.services.openssh.enable && lib.any (share: share.source == "/nix/store") cfg.shares;
  switch = program "microvm-switch" ''
    ${copy toplevel}
    ssh "$host" "$@" -- ${toplevel}/bin/switch-to-configuration "''${ACTION:-test}"
  '';
in
{
  microvm.deploy = {
    installOnHost = program "microvm-install-on-host" ''
      ${copy runner}
      if ssh "$host" "$@" -- test -e ${config.microvm.stateDir or "/var/lib/microvms"}/${hostName}/current; then
        ssh "$host" "$@" -- microvm update ${hostName} -f ${runner}
      else
        ssh "$host" "$@" -- microvm create ${hostName} -f ${runner}
      fi
    '';
    sshSwitch = lib.mkIf canSwitch switch;
    rebuild = lib.mkIf canSwitch (pkgs.writeShellScriptBin "microvm-rebuild" ''
      set -eu
      host=''${1:?usage: microvm-rebuild HOST GUEST [options of ssh]}
      guest=''${2:?usage: microvm-rebuild HOST GUEST [options of ssh]}
      shift 2
      ${lib.getExe' cfg.deploy.installOnHost "microvm-install-on-host"} "$host" "$@"
      ${lib.getExe' switch "microvm-switch"} "$guest" "$@"
    '');
  };
}
