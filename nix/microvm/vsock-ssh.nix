# SSH over vsock, where the guest has both: `microvm ssh NAME` finds it there.
{ config, lib, pkgs, ... }:
let
  enable = config.microvm.guest.enable && config.microvm.vsock.cid != null && config.services.openssh.enable;
  sshd = lib.getExe' (config.services.openssh.package or pkgs.openssh) "sshd";
in
lib.mkIf enable {
  boot.kernelModules = [ "vmw_vsock_virtio_transport" ];
  systemd.sockets.sshd-vsock = {
    description = "SSH over AF_VSOCK";
    wantedBy = [ "sockets.target" ];
    socketConfig = {
      ListenStream = "vsock::22";
      Accept = true;
    };
  };
  systemd.services."sshd-vsock@" = {
    description = "SSH session over AF_VSOCK";
    after = [ "sshd-keygen.service" ];
    wants = [ "sshd-keygen.service" ];
    serviceConfig = {
      ExecStart = "-${sshd} -i -f /etc/ssh/sshd_config";
      StandardInput = "socket";
      StandardError = "journal";
    };
  };
}
