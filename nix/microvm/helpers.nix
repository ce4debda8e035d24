# What the host does in a guest beside its hypervisor: it has it power off where the hypervisor has no
# button for that, runs commands, and hears when it has booted. One static program, as in guests
# without Nix.
{ config, lib, pkgs, ... }:
let
  cfg = config.microvm;
  platform = pkgs.stdenv.hostPlatform;
  arch = platform.parsed.cpu.name;
  told = (lib.importJSON ../options/table.json).helpers.${cfg.hypervisor};
  agent = told.agent.${arch} or null;
  hasVsock = cfg.vsock.cid != null;
  microvm = pkgs.callPackage ../packages/microvm.nix { };
  helpers = pkgs.runCommand "microvm-helpers" { nativeBuildInputs = [ microvm ]; }
    "microvm nix helpers --arch ${arch} --out $out";

  unit = description: command: {
    inherit description;
    wantedBy = [ "sysinit.target" ];
    after = [ "systemd-modules-load.service" ];
    # Early, and until the very end: a guest that is slow to boot or to stop can be asked too.
    unitConfig.DefaultDependencies = false;
    serviceConfig = {
      ExecStart = "${helpers}/bin/${command}";
      Restart = "always";
      RestartSec = 1;
    };
  };
in
# The program of another platform does not run where this one is built.
lib.mkIf (cfg.guest.enable && pkgs.stdenv.buildPlatform.system == platform.system) {
  boot.initrd.availableKernelModules = lib.optional (agent != null && lib.head agent == "port") "virtio_console";
  boot.kernelModules = lib.optional (agent != null && lib.head agent == "port") "virtio_console"
    ++ lib.optional (hasVsock || agent != null && lib.head agent == "vsock") "vmw_vsock_virtio_transport";
  # A session's key, which `microvm-exec` has there as long as that lasts.
  services.openssh.authorizedKeysFiles = lib.mkIf hasVsock [ "/run/microvm/authorized_keys/%u" ];
  systemd.services = {
    microvm-agent = lib.mkIf (agent != null) (unit "Powers off when the host asks" "microvm-agent ${toString agent}");
    microvm-exec = lib.mkIf hasVsock (unit "Runs commands of the host" "microvm-exec ${told.exec}");
  };
}
