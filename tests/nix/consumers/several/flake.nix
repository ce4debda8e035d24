{
  description = "Several VMs with volumes, shares, networks and a writable store";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    microvm = {
      url = "github:astro/microvm.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs = { self, nixpkgs, microvm }:
    let
      system = "x86_64-linux";
      inherit (nixpkgs) lib;

      common = { config, pkgs, ... }: {
        system.stateVersion = lib.trivial.release;
        users.users.root.password = "";
        services.openssh.enable = true;
        services.openssh.settings.PermitRootLogin = "yes";
        networking.firewall.allowedTCPPorts = [ 22 ];
        environment.systemPackages = [ pkgs.hello ];
        microvm.mem = lib.mkDefault 384;
      };

      vm = name: module: lib.nixosSystem {
        inherit system;
        specialArgs = { inherit self; };
        modules = [ microvm.nixosModules.microvm common { networking.hostName = name; } module ];
      };
    in
    {
      packages.${system} = lib.mapAttrs (_: nixos: nixos.config.microvm.declaredRunner) self.nixosConfigurations;

      nixosConfigurations = {
        web = vm "web" ({ config, pkgs, ... }: {
          environment.systemPackages = [ pkgs.nginx ];
          microvm = {
            hypervisor = "qemu";
            vcpu = 2;
            volumes = [
              { image = "var.img"; mountPoint = "/var"; size = 256; }
              { image = "scratch.img"; mountPoint = null; size = 64; fsType = "ext4"; }
              { image = "nix-store-overlay.img"; mountPoint = config.microvm.writableStoreOverlay; size = 128; }
            ];
            writableStoreOverlay = "/nix/.rw-store";
            shares = [{
              tag = "ro-store";
              source = "/nix/store";
              mountPoint = "/nix/.ro-store";
            }];
            interfaces = [{ type = "user"; id = "vm-web"; mac = "02:00:00:00:00:01"; }];
            forwardPorts = [
              { from = "host"; host.port = 8888; guest.port = 80; }
              { from = "guest"; guest = { address = "10.0.2.10"; port = 22; }; host = { address = "127.0.0.1"; port = 22; }; }
            ];
            qemu.extraArgs = [ "-rtc" "base=utc" ];
            binScripts.hello = "echo hello from the host";
          };
        });

        db = vm "db" {
          microvm = {
            hypervisor = "cloud-hypervisor";
            mem = 1024;
            balloon = true;
            volumes = [{ image = "/srv/db.img"; label = "db"; mountPoint = "/var/lib/db"; size = 512; fsType = "xfs"; mkfsExtraArgs = [ "-i" "size=512" ]; }];
            shares = [
              { proto = "virtiofs"; tag = "ro-store"; source = "/nix/store"; mountPoint = "/nix/.ro-store"; }
              { proto = "virtiofs"; tag = "keys"; source = "/run/keys"; mountPoint = "/run/host-keys"; socket = "keys.sock"; }
            ];
            interfaces = [{ type = "tap"; id = "vm-db"; mac = "02:00:00:00:00:02"; }];
            vsock.cid = 42;
          };
        };

        fire = vm "fire" {
          microvm = {
            hypervisor = "firecracker";
            interfaces = [ { type = "tap"; id = "vm-fire"; mac = "02:00:00:00:00:03"; } ];
            volumes = [{ image = "fire.img"; mountPoint = "/data"; size = 32; autoCreate = true; }];
            storeDiskType = "squashfs";
            kernelParams = [ "quiet" ];
          };
        };

        edge = vm "edge" {
          microvm = {
            hypervisor = "crosvm";
            interfaces = [{ type = "macvtap"; id = "vm-edge"; mac = "02:00:00:00:00:04"; macvtap = { link = "eth0"; mode = "bridge"; }; }];
            preStart = "echo starting";
            socket = "control.socket";
          };
        };
      };
    };
}
