# A guest in which the host module runs the examples with taps, on a bridge with DHCP.
{ self, nixpkgs, system }:
let
  inherit (nixpkgs) lib;
  names = map (hypervisor: "${system}-${hypervisor}-example-with-tap")
    (lib.filter (hypervisor: hypervisor != "vfkit") self.lib.hypervisorsWithTap);
  guests = lib.getAttrs names self.nixosConfigurations;
in
{ config, ... }: {
  imports = [ self.nixosModules.host ];
  networking.hostName = "microvms-host";
  boot.kernelModules = [ "kvm-intel" "kvm-amd" ];

  microvm = {
    mem = 8192;
    vcpu = 4;
    interfaces = [ { type = "user"; id = "user0"; mac = "02:00:00:02:04:01"; } ];
    # The processor as it is, with its own virtualization.
    cpu = null;
    vms = lib.mapAttrs' (name: nixos: lib.nameValuePair nixos.config.networking.hostName {
      evaluatedConfig = nixos;
    }) guests;
  };

  networking.useNetworkd = true;
  networking.useDHCP = false;
  systemd.network = {
    netdevs."10-virbr0".netdevConfig = { Name = "virbr0"; Kind = "bridge"; };
    networks."10-virbr0" = {
      matchConfig.Name = "virbr0";
      networkConfig = { DHCPServer = true; IPv6SendRA = true; Address = "10.0.0.1/24"; ConfigureWithoutCarrier = true; IPMasquerade = "ipv4"; };
    };
    networks."20-uplink" = { matchConfig.Name = "en* eth*"; networkConfig.DHCP = "yes"; };
    networks."30-taps" = { matchConfig.Name = "vm-*"; networkConfig.Bridge = "virbr0"; };
  };
  networking.firewall.allowedUDPPorts = [ 67 ];
}
