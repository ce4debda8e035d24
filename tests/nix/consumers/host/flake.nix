{
  description = "A host with VMs of its own configuration, and of another flake";

  inputs = {
    microvm.url = "github:astro/microvm.nix";
    microvm.inputs.nixpkgs.follows = "nixpkgs";
    several.url = "path:../several";
    several.inputs.nixpkgs.follows = "nixpkgs";
    several.inputs.microvm.follows = "microvm";
  };

  outputs = { self, nixpkgs, microvm, several }: {
    nixosConfigurations.machine = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        microvm.nixosModules.host
        ({ pkgs, ... }: {
          networking.hostName = "machine";
          networking.useNetworkd = true;
          systemd.network.networks."10-lan" = {
            matchConfig.Name = [ "eno1" "vm-*" ];
            networkConfig.Bridge = "br0";
          };

          microvm.autostart = [ "by-hand" ];
          microvm.vms = {
            cache = {
              autostart = true;
              restartIfChanged = true;
              specialArgs = { greeting = "hello"; };
              config = { greeting, ... }: {
                environment.etc."greeting".text = greeting;
                microvm = {
                  mem = 256;
                  shares = [{
                    source = "/nix/store";
                    mountPoint = "/nix/.ro-store";
                    tag = "ro-store";
                    proto = "virtiofs";
                  }];
                  interfaces = [{ type = "tap"; id = "vm-cache"; mac = "02:00:00:00:01:01"; }];
                };
              };
            };
            quiet = {
              autostart = false;
              config = { microvm.hypervisor = "firecracker"; };
            };
            db = {
              flake = several;
              updateFlake = "git+https://example.org/vms";
            };
          };
        })
      ];
    };
  };
}
