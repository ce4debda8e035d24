# A host of microVMs. Its units are those that `microvm host install` writes: the program writes
# them here too.
{ config, lib, pkgs, ... }:
let
  cfg = config.microvm;
  inherit (cfg) stateDir;
  microvm = pkgs.callPackage ../packages/microvm.nix { };
  program = lib.getExe microvm;

  units = pkgs.runCommand "microvm-units" { nativeBuildInputs = [ microvm ]; } ''
    microvm host install --root root --state-dir ${lib.escapeShellArg stateDir} \
      --startup-timeout ${toString cfg.host.startupTimeout} --use-notify-sockets ${lib.boolToString cfg.host.useNotifySockets}
    mkdir -p "$out/lib/systemd/system"
    cp root/etc/systemd/system/* "$out/lib/systemd/system/"
  '';

  evaluated = name: vm:
    if vm.flake != null then vm.flake.nixosConfigurations.${name}
    else if vm.evaluatedConfig != null then vm.evaluatedConfig
    else vm.config;
  guests = lib.mapAttrs (name: vm: vm // {
    fromFlake = vm.flake != null;
    guest = (evaluated name vm).config;
  }) cfg.vms;

  install = name: vm: {
    description = "Install MicroVM ${name}";
    wantedBy = [ "microvms.target" ];
    before = map (unit: "${unit}@${name}.service") [
      "microvm" "microvm-set-booted" "microvm-tap-interfaces" "microvm-macvtap-interfaces" "microvm-pci-devices" "microvm-virtiofsd"
    ];
    # What is updated by hand later is installed once.
    unitConfig = lib.optionalAttrs vm.fromFlake { ConditionPathExists = "!${stateDir}/${name}/current"; };
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      SyslogIdentifier = "install-microvm-${name}";
      ExecStart = lib.concatStringsSep " " ([
        program "nix" "install" "--state-dir" stateDir "--package" "${vm.guest.microvm.declaredRunner}"
      ] ++ lib.optionals vm.fromFlake [ "--flake" (if vm.updateFlake != null then vm.updateFlake else "${vm.flake}") ] ++ [ name ]);
    };
  };
  # The unit is the program's; here is only when the host's own update restarts it.
  unit = name: vm: {
    overrideStrategy = "asDropin";
    restartIfChanged = vm.restartIfChanged;
    restartTriggers = lib.optional vm.restartIfChanged vm.guest.microvm.declaredRunner;
  };
  starting = lib.attrNames (lib.filterAttrs (_: vm: vm.autostart) cfg.vms) ++ cfg.autostart;
in
{
  imports = [ ../options/host.nix ./networks.nix ];

  config = lib.mkIf cfg.host.enable {
    assertions = lib.concatLists (lib.mapAttrsToList (name: vm:
      let
        count = lib.count (given: given != null) [ vm.config vm.evaluatedConfig vm.flake ];
        about = "microvm.vms.${name}";
      in [
        { assertion = count == 1; message = "${about}: one of `config`, `evaluatedConfig` and `flake` says what the VM is; ${if count == 0 then "none is set" else "keep one"}"; }
        { assertion = vm.updateFlake == null || vm.flake != null; message = "${about}: `updateFlake` is for VMs of a `flake`; those of `config` are updated with the host"; }
      ]) cfg.vms);

    environment.systemPackages = [ microvm ];
    boot.kernelModules = [ "tun" "macvtap" "vhost_net" "vhost_vsock" ];
    # Equal pages of guests are kept once.
    hardware.ksm.enable = lib.mkDefault true;

    users.groups.kvm = { };
    users.users.microvm = {
      isSystemUser = true;
      group = "kvm";
      description = "Hypervisors of MicroVMs";
    };
    security.pam.loginLimits = map (type: { domain = "microvm"; item = "memlock"; inherit type; value = "infinity"; }) [ "hard" "soft" ];
    # A hypervisor that makes bridge interfaces itself asks this program, which is root's.
    security.wrappers.qemu-bridge-helper = lib.mkIf (lib.any (vm: lib.any (one: one.type == "bridge") vm.guest.microvm.interfaces) (lib.attrValues guests)) {
      owner = "root";
      group = "root";
      setuid = true;
      source = "${pkgs.qemu_kvm}/libexec/qemu-bridge-helper";
    };
    environment.etc."microvm/state-dir".text = "${stateDir}\n";
    systemd.tmpfiles.rules = [ "d ${stateDir} 0755 root kvm -" ];

    systemd.packages = [ units ];
    systemd.targets.microvms = {
      wantedBy = [ "multi-user.target" ];
      wants = map (name: "microvm@${name}.service") starting;
    };
    systemd.services = lib.mapAttrs' (name: vm: lib.nameValuePair "install-microvm-${name}" (install name vm)) guests
      // lib.mapAttrs' (name: vm: lib.nameValuePair "microvm@${name}" (unit name vm)) guests;
    system.build.microvmUnits = units;
  };
}
