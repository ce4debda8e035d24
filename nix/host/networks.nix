# Networks of the VMs, as `host.toml` declares them: the program checks and records them, and its own
# units bring them up.
{ config, lib, pkgs, ... }:
let
  cfg = config.microvm;
  inherit (cfg) networks stateDir;
  microvm = pkgs.callPackage ../packages/microvm.nix { };

  isSet = value: value != null && value != [ ];
  given = value:
    if lib.isAttrs value then lib.mapAttrs (_: given) (lib.filterAttrs (_: isSet) value)
    else if lib.isList value then map given value
    else value;
  declared = {
    networks = given networks;
    vms = lib.mapAttrs (_: vm: { inherit (vm) network; }) (lib.filterAttrs (_: vm: vm.network != null) cfg.vms);
  };
  checked = pkgs.runCommand "microvm-networks.json" {
    nativeBuildInputs = [ microvm ];
    declared = builtins.toJSON declared;
    passAsFile = [ "declared" ];
  } ''
    microvm nix networks --check "$declaredPath"
    cp "$declaredPath" "$out"
  '';
  # What the program calls, where it serves a network.
  path = [ pkgs.dnsmasq pkgs.nftables ];
  names = lib.attrNames networks;
  hasSome = declared.networks != { } || declared.vms != { };
in
{
  config = lib.mkIf cfg.host.enable {
    # There without networks too: what is no longer declared goes.
    systemd.services = {
      install-microvm-networks = {
        description = "Install the networks of MicroVMs";
        wantedBy = [ "microvm-networks.target" ];
        before = [ "microvm-networks.target" ] ++ map (name: "microvm-network@${name}.service") names;
        inherit path;
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${lib.getExe microvm} nix networks --state-dir ${stateDir} ${checked}";
        };
      };
    } // lib.optionalAttrs hasSome (lib.genAttrs [ "microvm-network@" "microvm-dnsmasq@" "microvm-tap-interfaces@" ] (_: {
      overrideStrategy = "asDropin";
      inherit path;
    }));
    systemd.targets.microvm-networks = {
      wantedBy = [ "multi-user.target" ];
      wants = map (name: "microvm-network@${name}.service") names;
    };
    environment.systemPackages = lib.optionals hasSome path;

    # Addresses and names are asked of the bridge.
    networking.firewall.interfaces = lib.genAttrs names (_: {
      allowedTCPPorts = [ 53 ];
      allowedUDPPorts = [ 53 67 547 ];
    });
  };
}
