# A NixOS guest as a microVM. The options and their checks are the program's: `config.microvm` goes
# to it as JSON, and it writes the runner package.
{
  imports = [
    ../options
    ./assertions.nix
    ./boot-disk.nix
    ./deploy.nix
    ./graphics.nix
    ./helpers.nix
    ./mounts.nix
    ./optimization.nix
    ./runner.nix
    ./store-disk.nix
    ./system.nix
    ./vsock-ssh.nix
  ];
}
