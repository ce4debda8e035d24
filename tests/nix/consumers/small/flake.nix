{
  description = "One VM, as small as it gets";

  inputs.microvm.url = "github:astro/microvm.nix";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { self, nixpkgs, microvm }: {
    nixosConfigurations.tiny = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        microvm.nixosModules.microvm
        {
          networking.hostName = "tiny";
          microvm.hypervisor = "cloud-hypervisor";
        }
      ];
    };
    packages.x86_64-linux.default = self.nixosConfigurations.tiny.config.microvm.declaredRunner;
  };
}
