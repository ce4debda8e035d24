# All outputs of the flake.
{ self, nixpkgs }:
let
  inherit (nixpkgs) lib;
  linux = [ "x86_64-linux" "aarch64-linux" ];
  systems = linux ++ [ "aarch64-darwin" ];
  eachOf = systems: f: lib.genAttrs systems (system: f system nixpkgs.legacyPackages.${system});

  examples = import ./examples { inherit self nixpkgs; };
  configurations = examples.configurations linux;
  # `x86_64-linux-qemu-example` is `qemu-example` among the packages of its system.
  runners = system: lib.mapAttrs' (name: nixos: lib.nameValuePair (lib.removePrefix "${system}-" name) nixos.config.microvm.declaredRunner)
    (lib.filterAttrs (name: _: lib.hasPrefix "${system}-" name) configurations);
in
{
  lib = import ./lib { inherit lib; };

  nixosModules = {
    microvm = { imports = [ ./microvm ]; };
    host = { imports = [ ./host ]; };
    microvm-options = { imports = [ ./options ]; };
    default = self.nixosModules.microvm;
  };

  overlays.default = final: _: { microvm = final.callPackage ./packages/microvm.nix { }; };

  packages = eachOf systems (system: pkgs: {
    microvm = pkgs.callPackage ./packages/microvm.nix { };
    default = self.packages.${system}.microvm;
  } // lib.optionalAttrs (lib.elem system linux) ({
    build-microvm = pkgs.callPackage ./packages/build-microvm.nix { inherit self nixpkgs; };
    doc = pkgs.callPackage ./packages/doc.nix { };
  } // runners system));

  apps = eachOf linux (system: pkgs: import ./examples/apps.nix { inherit self nixpkgs system pkgs; });

  templates = {
    microvm = {
      path = ./templates/microvm;
      description = "A flake with a NixOS microVM";
    };
    default = self.templates.microvm;
  };

  nixosConfigurations = configurations;

  checks = eachOf linux (system: pkgs: import ./checks { inherit self nixpkgs system pkgs; });
}
