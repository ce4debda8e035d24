# The options of NixOS that tests set: strict where a typing error would matter, open elsewhere.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  open = options: mkOption {
    default = { };
    type = types.submodule { freeformType = types.attrsOf types.anything; inherit options; };
  };
  list = type: option (types.listOf type) [ ];
  switch = option types.bool false;
  fileSystem = { name, config, ... }: {
    options = {
      mountPoint = option types.str name;
      device = option (types.nullOr types.str) null;
      label = option (types.nullOr types.str) null;
      fsType = option types.str "auto";
      options = option (types.listOf types.str) [ "defaults" ];
      depends = list types.str;
      neededForBoot = switch;
      noCheck = switch;
      autoFormat = switch;
      autoResize = switch;
    };
  };
  unit = {
    freeformType = types.attrsOf types.anything;
    options = {
      enable = option types.bool true;
      description = option types.str "";
      script = option types.lines "";
      wantedBy = list types.str;
      overrideStrategy = option types.str "asDropinIfExists";
      unitConfig = option (types.attrsOf types.anything) { };
      serviceConfig = option (types.attrsOf types.anything) { };
      restartTriggers = list types.unspecified;
    };
  };
  units = mkOption { default = { }; type = types.attrsOf (types.submodule unit); };
in
{
  options = {
    assertions = list types.unspecified;
    warnings = list types.str;
    nixpkgs = {
      hostPlatform = mkOption { type = types.either types.str types.attrs; apply = it: if builtins.isString it then { system = it; } else it; };
      overlays = list types.unspecified;
      config = option types.attrs { };
      pkgs = mkOption { type = types.unspecified; };
    };
    fileSystems = mkOption { default = { }; type = types.attrsOf (types.submodule fileSystem); };
    swapDevices = list types.attrs;
    boot = open {
      kernelPackages = mkOption { type = types.unspecified; };
      kernelParams = list types.str;
      kernelModules = list types.str;
      blacklistedKernelModules = list types.str;
      postBootCommands = option types.lines "";
      initrd = open {
        kernelModules = list types.str;
        availableKernelModules = list types.str;
        systemd = open { enable = switch; services = option types.attrs { }; mounts = list types.attrs; };
      };
    };
    system = {
      stateVersion = option types.str "26.05";
      build = mkOption { default = { }; type = types.lazyAttrsOf types.unspecified; };
      activationScripts = option types.attrs { };
      boot.loader = { kernelFile = option types.str "bzImage"; initrdFile = option types.str "initrd"; };
      nixos = open { release = option types.str "26.05"; };
      switch.enable = option types.bool true;
      name = option types.str "stand-in";
    };
    networking = open {
      hostName = option types.str "nixos";
      firewall = open { enable = option types.bool true; allowedTCPPorts = list types.port; allowedUDPPorts = list types.port; };
      useNetworkd = switch;
      useDHCP = switch;
    };
    environment = open {
      systemPackages = list types.package;
      etc = mkOption {
        default = { };
        type = types.attrsOf (types.submodule { options = {
          text = option (types.nullOr types.lines) null;
          source = option (types.nullOr types.path) null;
          mode = option types.str "symlink";
        }; });
      };
    };
    systemd = open {
      services = units;
      sockets = units;
      targets = units;
      timers = units;
      packages = list types.package;
      tmpfiles = open { rules = list types.str; };
      generators = option (types.attrsOf types.str) { };
    };
    users = open { users = option (types.attrsOf types.attrs) { }; groups = option (types.attrsOf types.attrs) { }; };
    security = open { pam = open { loginLimits = list types.attrs; }; };
    services = open { openssh = open { enable = switch; }; getty = open { }; udev = open { extraRules = option types.lines ""; }; };
    hardware = open { ksm = open { enable = switch; }; };
    nix = open {
      enable = option types.bool true;
      package = mkOption { type = types.package; };
      settings = open { auto-optimise-store = switch; };
      optimise = open { automatic = switch; };
    };
    programs = open { };
    documentation = open { };
    powerManagement = open { };
    i18n = open { };
    time = open { };
    console = open { };
    virtualisation = open { };
    fonts = open { };
    xdg = open { };
  };
}
