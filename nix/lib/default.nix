# What other flakes use of this one beside its modules.
{ lib }:
rec {
  hypervisors = import ./hypervisors.nix;
  hypervisorsWithNetwork = hypervisors;
  hypervisorsWith9p = lib.filter (can "9p shares") hypervisors;
  hypervisorsWithUserNet = lib.filter (can "user network") hypervisors;
  hypervisorsWithTap = lib.filter (can "TAP interfaces") hypervisors;
  defaultFsType = "ext4";

  # Whether a hypervisor has a feature, named as `microvm hypervisors` names it.
  can = feature: hypervisor: lib.elem feature (lib.importJSON ../options/table.json).hypervisors.${hypervisor};

  # The letter that each volume's disk gets where nothing but the order tells disks apart.
  withDriveLetters = { volumes, storeOnDisk, ... }:
    lib.zipListsWith (volume: letter: volume // { inherit letter; }) volumes
      (lib.drop (if storeOnDisk then 1 else 0) lib.strings.lowerChars);

  # The runner package of a guest for a hypervisor.
  buildRunner = { config, options, pkgs, guestPlatform ? pkgs.stdenv.hostPlatform, hypervisor ? config.microvm.hypervisor }:
    let
      cfg = config.microvm;
      inherit (config.networking) hostName;
      microvm = pkgs.callPackage ../packages/microvm.nix { };
      definition = import ../microvm/definition.nix {
        inherit config options lib hypervisor;
        arch = guestPlatform.parsed.cpu.name;
      };
      scripts = lib.mapAttrsToList (name: text: "--script ${lib.escapeShellArg "${name}=${pkgs.writeShellScript name text}"}") cfg.binScripts;
      packages = pkgs.runCommand "microvm-packages" { nativeBuildInputs = [ microvm ]; }
        "microvm nix packages --closure ${config.system.build.microvmRegistration}/store-paths --out $out";
      system = lib.optionalString (cfg.systemSymlink || !cfg.storeOnDisk) "--system ${config.system.build.toplevel}";
    in
    pkgs.runCommand "microvm-${hypervisor}-${hostName}" {
      nativeBuildInputs = [ microvm ];
      definition = builtins.toJSON definition;
      passAsFile = [ "definition" ];
      preferLocalBuild = true;
      passthru = {
        # What MicroVM.nix's host module asks of a runner.
        canShutdown = can "graceful stop" hypervisor;
        supportsNotifySocket = true;
        tapMultiQueue = cfg.vcpu > 1;
        inherit (cfg) registerWithMachined machineId;
        inherit definition hypervisor;
      };
      meta.mainProgram = "microvm-run";
    } ''
      microvm nix runner --definition "$definitionPath" --name ${lib.escapeShellArg hostName} \
        ${system} --packages ${packages} ${lib.concatStringsSep " " scripts} --out "$out"
    '';
}
