# `lib.nixosSystem`: the modules of the stand-in and the user's.
{ lib, modules, system ? null, pkgs ? null, specialArgs ? { }, baseModules ? [ ./options.nix ./system.nix ./stage-1.nix ./host.nix ], ... }:
let
  nixos = lib.evalModules {
    class = "nixos";
    specialArgs = { modulesPath = ./.; } // specialArgs;
    modules = baseModules ++ [
      ({ config, ... }: {
        _file = "lib.nixosSystem";
        nixpkgs.hostPlatform = lib.mkIf (system != null) (lib.mkDefault system);
        nixpkgs.pkgs = lib.mkIf (pkgs != null) pkgs;
        _module.args.pkgs = config.nixpkgs.pkgs;
      })
    ] ++ modules;
  };
in
nixos // { pkgs = nixos.config.nixpkgs.pkgs; inherit lib; }
