//! The machine, of the crate's parts: its own way to put them together knows no other console
//! than a terminal, and no way to pause.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use alioth::board::{Board, BoardConfig};
use alioth::hv::{Hypervisor, IoeventFdRegistry, Kvm, KvmConfig, Vm};
use alioth::loader::Payload;
use alioth::pci::{Bdf, Pci};
use alioth::sys::vfio::VfioIommu;
use alioth::vfio::GroupParam;
use alioth::vfio::container::{Container, UpdateContainerMapping};
use alioth::vfio::group::{DevFd, Group};
use alioth::vfio::pci::VfioPciDev;
use alioth::virtio::dev::{DevParam, Virtio, VirtioDevice};
use alioth::virtio::pci::VirtioPciDevice;

use super::console::StandardIo;
use super::{Cause, Error};

type KvmVm = <Kvm as Hypervisor>::Vm;
type MsiSender = <KvmVm as Vm>::MsiSender;
type IoeventFd = <<KvmVm as Vm>::IoeventFdRegistry as IoeventFdRegistry>::IoeventFd;

/// Longest that a processor's thread may take to begin, on a host that is busy.
const BEGIN: Duration = Duration::from_secs(60);

pub struct Machine {
    board: Arc<Board<KvmVm>>,
    /// A processor's number when it has ended.
    ended: Receiver<u16>,
    /// Kept, so that a processor that ends can always say so.
    _end: Sender<u16>,
}

impl Machine {
    pub fn new(config: BoardConfig) -> Result<Self, Error> {
        let kvm = Kvm::new(KvmConfig::default()).map_err(|error| Error::Kvm(error.into()))?;
        let board = Board::new(&kvm, config).map_err(machine)?;
        let (end, ended) = channel();
        let machine = Self {
            board: Arc::new(board),
            ended,
            _end: end.clone(),
        };
        machine.start_processors(&end)?;
        #[cfg(target_arch = "aarch64")]
        machine.board.arch_init().map_err(self::machine)?;
        Ok(machine)
    }

    /// They wait until the guest is started.
    fn start_processors(&self, end: &Sender<u16>) -> Result<(), Error> {
        let mut processors = self.board.vcpus.write();
        for index in 0..self.board.config.cpu.count {
            let (board, end) = (Arc::clone(&self.board), end.clone());
            let thread = thread::Builder::new()
                .name(format!("vcpu{index}"))
                .spawn(move || board.run_vcpu(index, end))
                .map_err(machine)?;
            self.ended.recv_timeout(BEGIN).map_err(machine)?;
            processors.push(thread);
        }
        Ok(())
    }

    #[cfg(target_arch = "x86_64")]
    pub fn add_console(&self) -> Result<(), Error> {
        use alioth::arch::layout::{IOAPIC_START, PORT_COM1};
        use alioth::device::ioapic::IoApic;
        use alioth::device::serial::Serial;

        const PIN: u8 = 4;
        let device = |error: Cause| device("console", error);
        let messages = self
            .board
            .vm
            .create_msi_sender()
            .map_err(|error| device(error.into()))?;
        // The board has one of its own, which only the crate's own console can reach.
        let io_apic = Arc::new(IoApic::new(messages));
        let mut mmio = self.board.mmio_devs.write();
        mmio.push((IOAPIC_START, io_apic.clone()));
        let console = StandardIo::new().map_err(|error| device(error.into()))?;
        let serial = Serial::new(PORT_COM1, io_apic, PIN, console);
        let serial = serial.map_err(|error| device(error.into()))?;
        let mut ports = self.board.io_devs.write();
        ports.push((PORT_COM1, Arc::new(serial)));
        Ok(())
    }

    #[cfg(target_arch = "aarch64")]
    pub fn add_console(&self) -> Result<(), Error> {
        use alioth::arch::layout::{PL011_START, PL031_START};
        use alioth::device::clock::SystemClock;
        use alioth::device::pl011::Pl011;
        use alioth::device::pl031::Pl031;

        const PIN: u8 = 1;
        let device = |error: Cause| device("console", error);
        let line = self.board.vm.create_irq_sender(PIN);
        let line = line.map_err(|error| device(error.into()))?;
        let console = StandardIo::new().map_err(|error| device(error.into()))?;
        let serial = Pl011::new(PL011_START, line, console);
        let serial = serial.map_err(|error| device(error.into()))?;
        let mut mmio = self.board.mmio_devs.write();
        mmio.push((PL011_START, Arc::new(serial)));
        mmio.push((PL031_START, Arc::new(Pl031::new(PL031_START, SystemClock))));
        Ok(())
    }

    /// Adds a virtio device at the next place of the bus.
    pub fn add_virtio<P, D>(&self, name: &str, param: P) -> Result<(), Error>
    where
        P: DevParam<Device = D>,
        D: Virtio,
    {
        self.virtio(name, param)
            .map_err(|error| device(name, error))
    }

    fn virtio<P, D>(&self, name: &str, param: P) -> Result<(), Cause>
    where
        P: DevParam<Device = D>,
        D: Virtio,
    {
        let board = &self.board;
        let place = self.place()?;
        let device = param.build(name)?;
        if let Some(callback) = device.mem_update_callback() {
            board.memory.register_update_callback(callback)?;
        }
        if let Some(callback) = device.mem_change_callback() {
            board.memory.register_change_callback(callback)?;
        }
        let device = VirtioDevice::new(name, device, board.memory.ram_bus(), false)?;
        let registry = board.vm.create_ioeventfd_registry()?;
        let messages = self.messages(place)?;
        let device = VirtioPciDevice::<MsiSender, IoeventFd>::new(device, messages, registry)?;
        self.put(place, Arc::new(device));
        Ok(())
    }

    /// Adds all devices of an IOMMU group that are named.
    pub fn add_vfio_group(&self, group: GroupParam) -> Result<(), Error> {
        let path = group.path.display().to_string();
        self.vfio_group(group).map_err(|error| device(&path, error))
    }

    fn vfio_group(&self, param: GroupParam) -> Result<(), Cause> {
        const NAME: &str = "default";
        let mut containers = self.board.vfio_containers.lock();
        let container = match containers.get(NAME) {
            Some(container) => Arc::clone(container),
            None => {
                let container = Arc::new(Container::new(Path::new("/dev/vfio/vfio"))?);
                let update = UpdateContainerMapping {
                    container: Arc::clone(&container),
                };
                let memory = &self.board.memory;
                memory.register_change_callback(Box::new(update))?;
                containers.insert(NAME.into(), Arc::clone(&container));
                container
            }
        };
        let mut group = Group::new(&param.path)?;
        group.attach(container, VfioIommu::TYPE1_V2)?;
        let group = Arc::new(group);
        for name in param.devices {
            let descriptor = DevFd::new(Arc::clone(&group), &name)?;
            let place = self.place()?;
            let device = VfioPciDev::new(name.into(), descriptor, self.messages(place)?)?;
            self.put(place, Arc::new(device));
        }
        Ok(())
    }

    fn place(&self) -> Result<Bdf, Cause> {
        let place = self.board.pci_bus.reserve(None);
        place.ok_or_else(|| "The bus is full".into())
    }

    fn messages(&self, _place: Bdf) -> Result<MsiSender, Cause> {
        let messages = self.board.vm.create_msi_sender(
            #[cfg(target_arch = "aarch64")]
            u32::from(_place.0),
        );
        Ok(messages?)
    }

    fn put(&self, place: Bdf, device: Arc<dyn Pci>) {
        device.config().get_header().set_bdf(place);
        self.board.pci_bus.add(place, device);
    }

    /// Runs the guest until it powers off.
    pub fn run(&self, payload: Payload) -> Result<(), Error> {
        *self.board.payload.write() = Some(payload);
        self.board
            .boot()
            .map_err(|error| Error::Start(error.into()))?;
        let count = self.board.config.cpu.count;
        for _ in 0..count {
            // The sender of our own is never dropped.
            let _ = self.ended.recv();
        }
        let processors = std::mem::take(&mut *self.board.vcpus.write());
        for processor in processors {
            match processor.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Error::Processor(error.into())),
                Err(_) => return Err(Error::Processor("its thread panicked".into())),
            }
        }
        Ok(())
    }
}

fn machine(error: impl Into<Cause>) -> Error {
    Error::Machine(error.into())
}

fn device(name: &str, source: Cause) -> Error {
    Error::Device {
        name: name.to_owned(),
        source,
    }
}
