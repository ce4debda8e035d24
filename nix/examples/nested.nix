# A guest that is a host of guests: one for each hypervisor, on a network with leases and names.
{ self, nixpkgs, system }:
let
  inherit (nixpkgs) lib;
  examples = import ./. { inherit self nixpkgs; };
  names = lib.filter (hypervisor: hypervisor != "vfkit") self.lib.hypervisorsWithTap;
in
{ ... }: {
  imports = [ self.nixosModules.host examples.ssh ];
  networking.hostName = "microvms-host";
  boot.kernelModules = [ "kvm-intel" "kvm-amd" ];

  microvm = {
    mem = 8192;
    vcpu = 4;
    # The processor as it is, with its own virtualization.
    cpu = null;
    interfaces = [ { type = "user"; id = "user0"; mac = "02:00:00:02:04:01"; } ];
    forwardPorts = [ { host = { address = "127.0.0.1"; port = 2222; }; guest.port = 22; } ];
    # Their own volumes, and what the host keeps of them.
    volumes = [ { image = "vm-var.img"; mountPoint = "/var"; size = 8192; } ];
    networks.virbr0.addresses = [ "10.0.0.1/24" "fd12:3456:789a::1/64" ];
    vms = lib.genAttrs names (hypervisor: {
      evaluatedConfig = self.nixosConfigurations."${system}-${hypervisor}-example-with-tap";
    });
  };

  networking.useNetworkd = true;
  networking.useDHCP = false;
  systemd.network.networks."20-uplink" = { matchConfig.Name = "en* eth*"; networkConfig.DHCP = "yes"; };

  # `ssh qemu`: the names of VMs are in the domain `microvm`.
  services.resolved.enable = true;
  programs.ssh.extraConfig = ''
    Host ${lib.concatStringsSep " " names}
      HostName %h.microvm
      User root
      StrictHostKeyChecking no
      UserKnownHostsFile /dev/null
      LogLevel ERROR
  '';
  users.motd = ''

    This is a host of microVMs, in a microVM. Its own VMs, one for each hypervisor:

        ${lib.concatStringsSep " " names}

        microvm list                 what runs, and what is not as it should be
        ssh qemu                     into one of them; root's password is empty
        microvm console qemu         its console; Ctrl-] leaves it
        systemctl status microvm@qemu
        microvm stop qemu            and `systemctl start microvm@qemu`
        microvm network leases       who has which address on virbr0

  '';
}
