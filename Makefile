# Two commands set everything up: `make run` and `make test`.
CARGO ?= cargo
BIN = target/release/microvm

.PHONY: run test test-nixpkgs bench build deps test-deps install uninstall fmt clean

run: build ## Build, and boot the example guest on the best hypervisor at hand
	mkdir -p target/run
	$(BIN) run --state-dir target/run microvm#qemu-example

build: deps
	$(CARGO) build --release --locked -p cli

deps: ## Install what running needs (Debian and its kin)
	sh scripts/deps run

test-deps:
	sh scripts/deps test

test: test-deps ## Everything: style, unit tests, snapshots, real boots, Nix
	bash scripts/test

test-nixpkgs: test-deps ## The flake against a real nixpkgs: make test-nixpkgs NIXPKGS=/path
	@test -e "$(NIXPKGS)/flake.nix" || { echo "NIXPKGS is the path of a nixpkgs" >&2; exit 2; }
	$(CARGO) build --workspace --locked
	MICROVM_NIXPKGS=$(abspath $(NIXPKGS)) $(CARGO) test --locked -p tests --test nix -- --nocapture

bench: build test-deps
	$(CARGO) run --release --locked -p tests --bin bench

PREFIX ?= /usr/local
install: $(BIN) ## The program, its manual pages, completions of bash, zsh and fish
	install -Dm755 $(BIN) $(DESTDIR)$(PREFIX)/bin/microvm
	$(BIN) generate $(DESTDIR)$(PREFIX)

# So that `sudo make install` takes what `make build` made, and builds nothing as root.
$(BIN):
	$(MAKE) build

uninstall:
	cd $(DESTDIR)$(PREFIX) && rm -f bin/microvm share/man/man1/microvm.1 share/man/man1/microvm-*.1 \
	    share/bash-completion/completions/microvm share/zsh/site-functions/_microvm \
	    share/fish/vendor_completions.d/microvm.fish

fmt:
	$(CARGO) fmt --all

clean:
	$(CARGO) clean
