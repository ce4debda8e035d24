{
  description = "NixOS in microVMs";

  # The name that `nix registry add microvm …` gave; any URL of that flake will do.
  inputs.microvm.url = "microvm";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";

  outputs = { self, nixpkgs, microvm }:
    let
      system = "x86_64-linux";
    in
    {
      packages.${system} = {
        default = self.packages.${system}.my-microvm;
        my-microvm = self.nixosConfigurations.my-microvm.config.microvm.declaredRunner;
      };

      nixosConfigurations.my-microvm = nixpkgs.lib.nixosSystem {
        inherit system;
        modules = [
          microvm.nixosModules.microvm
          {
            networking.hostName = "my-microvm";
            # Whoever reaches the console is root.
            users.users.root.password = "";

            microvm = {
              hypervisor = "qemu";

              # What the guest keeps; made and formatted at the first start.
              volumes = [{
                mountPoint = "/var";
                image = "var.img";
                size = 256;
              }];

              # The host's store, so that none is built. With `proto = "virtiofs"` it works with
              # other hypervisors too, and is faster.
              shares = [{
                proto = "9p";
                tag = "ro-store";
                source = "/nix/store";
                mountPoint = "/nix/.ro-store";
              }];
            };
          }
        ];
      };
    };
}
