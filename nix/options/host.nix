# The options of a host.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: description: mkOption { inherit type default description; };
  cfg = config.microvm;

  vm = { name, config, ... }: {
    options = {
      config = mkOption {
        type = types.nullOr (lib.mkOptionType {
          name = "Toplevel NixOS config";
          merge = loc: defs: (import "${config.nixpkgs}/nixos/lib/eval-config.nix" {
            prefix = loc;
            inherit (config) specialArgs pkgs;
            modules = [ ../microvm { networking.hostName = lib.mkDefault name; nixpkgs.hostPlatform = lib.mkDefault pkgs.stdenv.hostPlatform.system; } ]
              ++ config.extraModules ++ map (def: { _file = def.file; imports = [ def.value ]; }) defs;
            system = null;
          });
        });
        default = null;
        description = "The guest's NixOS configuration, built and updated with this host.";
      };
      evaluatedConfig = option (types.nullOr types.unspecified) null "A NixOS configuration that is evaluated already, in place of `config`.";
      flake = option (types.nullOr types.path) null "Flake that has the VM, as an input of this host's; installed once, then updated by `microvm update`.";
      updateFlake = option (types.nullOr types.str) null "Where `microvm update` takes the VM from, where that is not `flake`.";
      autostart = option types.bool true "Whether the VM starts with the host.";
      network = option (types.nullOr types.str) null "The one of `microvm.networks` that all taps of the VM are for.";
      restartIfChanged = mkOption {
        type = types.bool;
        default = config.config != null;
        defaultText = lib.literalMD "true where `config` is set";
        description = "Whether a VM that runs is restarted when its definition has changed.";
      };
      extraModules = option (types.listOf types.deferredModule) [ ] "Modules beside `config`.";
      specialArgs = option (types.attrsOf types.unspecified) { } "Arguments of the guest's modules.";
      nixpkgs = mkOption {
        type = types.path;
        default = cfg.host.nixpkgs or pkgs.path;
        defaultText = lib.literalMD "that of this host";
        description = "nixpkgs that `config` is evaluated with.";
      };
      pkgs = mkOption {
        type = types.nullOr types.unspecified;
        default = pkgs;
        defaultText = lib.literalMD "those of this host";
        description = "Packages of the guest; null has `config` import its own.";
      };
    };
  };

  # Null is the program's default.
  unset = type: option (types.nullOr type) null;
  network.options = {
    addresses = mkOption {
      type = types.listOf types.str;
      description = "Addresses of the host, with prefixes; guests have the rest.";
    };
    dhcp = unset (types.either types.bool (types.submodule {
      options.range = unset (types.listOf types.str) "First and last address for guests that are not known.";
    })) "Whether guests get their IPv4 addresses by DHCP, and which.";
    leases = option (types.listOf (types.submodule {
      options = {
        mac = mkOption { type = types.str; description = "MAC address of the guest."; };
        address = mkOption { type = types.str; description = "Its IPv4 address."; };
        name = unset types.str "Name below `microvm`.";
      };
    })) [ ] "Fixed addresses beside those that VMs have of themselves.";
    nat = unset types.bool "Whether guests reach the outside with the host's address.";
    gateway = unset types.bool "Whether guests are told that the host is their way out; as `nat`.";
    routerAdvertisements = unset types.bool "Whether guests make themselves IPv6 addresses; where there is a prefix of 64.";
    isolation = unset types.bool "Whether guests reach the host and the outside alone, and not each other.";
    taps = unset (types.listOf types.str) "Taps of the network, or patterns with `*`; without it all, where it is the only network.";
  };
in
{
  options.microvm = {
    host = {
      enable = option types.bool true "Whether this is a host of microVMs.";
      startupTimeout = option types.ints.positive 150 "Seconds that a VM may take to start; while it says that it goes on, it has more.";
      useNotifySockets = option types.bool false "Whether a VM has started when its guest says over AF_VSOCK that it has booted, where it can, and not when its hypervisor runs.";
    };
    networks = option (types.attrsOf (types.submodule network)) { } "Networks of the VMs of this host, by the names of their bridges.";
    vms = option (types.attrsOf (types.submodule vm)) { } "VMs of this host, each by `config` or by `flake`.";
    stateDir = option types.path "/var/lib/microvms" "Where the VMs of this host are.";
    autostart = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "VMs that were made by `microvm create` and start with the host.";
    };
  };
}
