{
  description = "Stands for nixpkgs in tests without a network: enough of it to build and boot a guest";

  outputs = { self }:
    let
      lib = import ./lib;
      systems = [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ];
    in {
      lib = lib // {
        nixosSystem = args: import ./nixos/eval.nix (args // { inherit lib; });
      };
      legacyPackages = lib.genAttrs systems (system: import ./. { inherit system; });
    };
}
