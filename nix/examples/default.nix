# One guest for each hypervisor, without and with a tap interface.
{ self, nixpkgs }:
let
  inherit (nixpkgs) lib;
  inherit (self.lib) hypervisors hypervisorsWith9p hypervisorsWithUserNet hypervisorsWithTap;

  # The tap of each has a name within 15 bytes, and a MAC address of its own.
  number = hypervisor: lib.head (lib.filter (at: lib.elemAt hypervisors at == hypervisor) (lib.range 0 (lib.length hypervisors - 1)));

  base = hypervisor: { config, ... }: {
    networking.hostName = lib.mkDefault "${hypervisor}-microvm";
    system.stateVersion = lib.mkDefault lib.trivial.release;
    # An example to look at: who has its console, or its port, is root.
    users.users.root.password = "";
    services.getty.autologinUser = "root";
    microvm = {
      inherit hypervisor;
      shares = lib.optional (lib.elem hypervisor hypervisorsWith9p && hypervisor == "qemu") {
        tag = "ro-store";
        source = "/nix/store";
        mountPoint = "/nix/.ro-store";
      };
    };
  };

  withUserNetwork = hypervisor: {
    microvm.interfaces = lib.optional (lib.elem hypervisor hypervisorsWithUserNet) {
      type = "user";
      id = "user0";
      mac = "02:00:00:02:01:0${toString (number hypervisor)}";
    };
  } // lib.optionalAttrs (hypervisor == "qemu") (ssh // {
    microvm = {
      interfaces = [ { type = "user"; id = "user0"; mac = "02:00:00:02:01:00"; } ];
      forwardPorts = [ { host = { address = "127.0.0.1"; port = 2222; }; guest.port = 22; } ];
    };
  });

  withTap = hypervisor: ssh // {
    microvm.interfaces = [ {
      type = "tap";
      id = "vm-${builtins.substring 0 12 hypervisor}";
      mac = "02:00:00:02:02:0${toString (number hypervisor)}";
    } ];
    networking.useNetworkd = true;
    networking.useDHCP = true;
  };

  ssh = {
    networking.firewall.allowedTCPPorts = [ 22 ];
    services.openssh = {
      enable = true;
      settings = { PermitRootLogin = "yes"; PermitEmptyPasswords = true; };
    };
  };

  make = system: hypervisor: module: lib.nixosSystem {
    inherit system;
    modules = [ self.nixosModules.microvm (base hypervisor) module ];
  };
in
{
  inherit base ssh make;

  configurations = systems: lib.listToAttrs (lib.concatMap (system: lib.concatMap (hypervisor:
    [ (lib.nameValuePair "${system}-${hypervisor}-example" (make system hypervisor (withUserNetwork hypervisor))) ]
    ++ lib.optional (lib.elem hypervisor hypervisorsWithTap)
      (lib.nameValuePair "${system}-${hypervisor}-example-with-tap" (make system hypervisor (withTap hypervisor)))
  ) (lib.filter (hypervisor: hypervisor != "vfkit") hypervisors)) systems);
}
