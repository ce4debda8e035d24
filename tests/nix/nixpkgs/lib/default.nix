# The functions of nixpkgs' lib that the flake and its users call, written anew for tests.
let
  lib = basics // strings // attrsets // lists // import ./modules.nix lib // {
    types = import ./types.nix lib;
    inherit lists attrsets strings;
    trivial = { release = "26.05"; inherit (basics) id const flip warn; versionSuffix = "stand-in"; };
    options = { inherit (lib) mkOption mkEnableOption; };
    modules = { inherit (lib) mkIf mkMerge evalModules; };
    licenses = { mit = { spdxId = "MIT"; }; asl20 = { spdxId = "Apache-2.0"; }; };
    maintainers = { };
    platforms = { linux = [ "x86_64-linux" "aarch64-linux" ]; unix = [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ]; };
    # What `overrideAttrs` needs is the derivation's own arguments.
    makeOverridableDerivation = drv: attrs: drv // (attrs.passthru or { }) // {
      meta = attrs.meta or { };
      passthru = attrs.passthru or { };
      overrideAttrs = _: lib.makeOverridableDerivation drv attrs;
      override = _: lib.makeOverridableDerivation drv attrs;
      dev = drv; bin = drv; lib = drv; out = drv;
    };
    cleanSource = source: source;
    fileset = { unions = list: list; toSource = { root, fileset }: root; };
  };

  basics = rec {
    inherit (builtins) add seq deepSeq isString isAttrs isList isFunction isBool isInt isPath toString
      throw tryEval trace fromJSON toJSON readFile pathExists compareVersions functionArgs genericClosure;
    id = x: x;
    const = x: _: x;
    flip = f: a: b: f b a;
    pipe = builtins.foldl' (value: f: f value);
    fix = f: let x = f x; in x;
    warn = message: builtins.trace "warning: ${message}";
    warnIf = condition: message: if condition then warn message else id;
    throwIf = condition: message: if condition then throw message else id;
    throwIfNot = condition: throwIf (!condition);
    assertMsg = condition: message: condition || throw message;
    importJSON = path: builtins.fromJSON (builtins.readFile path);
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    min = a: b: if a < b then a else b;
    max = a: b: if a > b then a else b;
    mod = a: b: a - b * (a / b);
    setFunctionArgs = f: args: { __functor = _: f; __functionArgs = args; };
    toFunction = f: if builtins.isFunction f then f else _: f;
  };

  strings = rec {
    inherit (builtins) concatStringsSep stringLength substring replaceStrings match split hashString;
    concatStrings = concatStringsSep "";
    concatMapStrings = f: list: concatStrings (map f list);
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    concatLines = concatMapStrings (line: line + "\n");
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix = suffix: text:
      let start = stringLength text - stringLength suffix;
      in start >= 0 && substring start (-1) text == suffix;
    hasInfix = infix: text: builtins.length (split (escapeRegex infix) text) > 1;
    removePrefix = prefix: text:
      if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
    removeSuffix = suffix: text:
      if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
    escape = characters: replaceStrings characters (map (c: "\\${c}") characters);
    escapeRegex = escape [ "\\" "[" "]" "{" "}" "(" ")" "*" "+" "?" "^" "$" "." "|" ];
    escapeShellArg = value:
      let text = toString value;
      in if match "[[:alnum:],._+:@%/-]+" text != null then text
         else "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";
    escapeShellArgs = concatMapStringsSep " " escapeShellArg;
    splitString = separator: text: builtins.filter builtins.isString (split (escapeRegex separator) text);
    versionAtLeast = found: wanted: builtins.compareVersions found wanted >= 0;
    versionOlder = found: wanted: builtins.compareVersions found wanted < 0;
    getVersion = package: package.version or "";
    getName = package: package.pname or package.name;
    fileContents = path: removeSuffix "\n" (builtins.readFile path);
    stringToCharacters = text: builtins.genList (at: substring at 1 text) (stringLength text);
    lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
    upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    toLower = replaceStrings upperChars lowerChars;
    toUpper = replaceStrings lowerChars upperChars;
    makeBinPath = packages: concatMapStringsSep ":" (package: "${attrsets.getBin package}/bin") packages;
    fixedWidthString = width: filler: text:
      if stringLength text >= width then text else fixedWidthString width filler (filler + text);
    boolToString = value: if value then "true" else "false";
    isStorePath = value: hasPrefix builtins.storeDir (toString value);
    trim = text: builtins.head (match "[[:space:]]*(.*[^[:space:]]|)[[:space:]]*" text);
  };

  lists = rec {
    inherit (builtins) map filter elem elemAt head tail length concatLists concatMap any all sort foldl' genList partition groupBy;
    optional = condition: item: if condition then [ item ] else [ ];
    optionals = condition: items: if condition then items else [ ];
    singleton = item: [ item ];
    toList = value: if builtins.isList value then value else [ value ];
    flatten = value: if builtins.isList value then concatMap flatten value else [ value ];
    unique = foldl' (known: item: if elem item known then known else known ++ [ item ]) [ ];
    imap0 = f: list: genList (at: f at (elemAt list at)) (length list);
    imap1 = f: list: genList (at: f (at + 1) (elemAt list at)) (length list);
    range = first: last: if first > last then [ ] else genList (at: first + at) (last - first + 1);
    zipListsWith = f: a: b: genList (at: f (elemAt a at) (elemAt b at)) (basics.min (length a) (length b));
    zipLists = zipListsWith (fst: snd: { inherit fst snd; });
    last = list: elemAt list (length list - 1);
    init = list: genList (elemAt list) (length list - 1);
    drop = count: list: genList (at: elemAt list (at + count)) (basics.max 0 (length list - count));
    take = count: list: genList (elemAt list) (basics.min count (length list));
    reverseList = list: genList (at: elemAt list (length list - 1 - at)) (length list);
    foldr = f: nul: list: if list == [ ] then nul else f (head list) (foldr f nul (tail list));
    fold = foldr;
    findFirst = condition: default: list:
      let found = filter condition list; in if found == [ ] then default else head found;
    count = condition: list: length (filter condition list);
    subtractLists = without: filter (item: !elem item without);
    intersectLists = other: filter (item: elem item other);
    forEach = list: f: map f list;
    mutuallyExclusive = a: b: !any (item: elem item b) a;
    remove = item: filter (other: other != item);
    naturalSort = sort (a: b: a < b);
  };

  attrsets = rec {
    inherit (builtins) attrNames attrValues listToAttrs mapAttrs removeAttrs intersectAttrs getAttr hasAttr catAttrs;
    nameValuePair = name: value: { inherit name value; };
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    attrsToList = mapAttrsToList nameValuePair;
    concatMapAttrs = f: set: lists.foldl' (all: more: all // more) { } (mapAttrsToList f set);
    filterAttrs = condition: set: removeAttrs set (lists.filter (name: !condition name set.${name}) (attrNames set));
    genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
    getAttrs = names: set: genAttrs names (name: set.${name});
    genAttrs' = items: f: listToAttrs (map f items);
    optionalAttrs = condition: set: if condition then set else { };
    attrByPath = path: default: set:
      if path == [ ] then set
      else if set ? ${lists.head path} then attrByPath (lists.tail path) default set.${lists.head path}
      else default;
    hasAttrByPath = path: set:
      path == [ ] || builtins.isAttrs set && set ? ${lists.head path} && hasAttrByPath (lists.tail path) set.${lists.head path};
    getAttrFromPath = path: attrByPath path (throw "no attribute ${strings.concatStringsSep "." path}");
    setAttrByPath = path: value: if path == [ ] then value else { ${lists.head path} = setAttrByPath (lists.tail path) value; };
    recursiveUpdate = a: b:
      if builtins.isAttrs a && builtins.isAttrs b
      then a // mapAttrs (name: value: if a ? ${name} then recursiveUpdate a.${name} value else value) b
      else b;
    isDerivation = value: value.type or null == "derivation";
    getOutput = output: package: package.${output} or package.out or package;
    getBin = getOutput "bin";
    getDev = getOutput "dev";
    getLib = getOutput "lib";
    getExe = package: "${getBin package}/bin/${package.meta.mainProgram or (strings.getName package)}";
    getExe' = package: name: "${getBin package}/bin/${name}";
    zipAttrsWith = f: sets:
      genAttrs (lists.unique (lists.concatMap attrNames sets)) (name: f name (catAttrs name sets));
    foldAttrs = f: nul: zipAttrsWith (_: lists.foldr f nul);
    mergeAttrsList = lists.foldl' (all: more: all // more) { };
    recurseIntoAttrs = set: set // { recurseForDerivations = true; };
    showAttrPath = strings.concatStringsSep ".";
    cartesianProduct = set: lists.foldl'
      (rows: name: lists.concatMap (row: map (value: row // { ${name} = value; }) set.${name}) rows)
      [ { } ] (attrNames set);
  };
in
lib
