//! iceoryx2's publish-subscribe: payloads in shared memory, and both sides look again and again.

use crate::files::{node, sweep};
use gristmill::bench::contender::{Contender, Family, Info, Opened, Payloads, Queue, Receiver, Result, Sender, Shape, Waits};
use gristmill::bench::control::Control;
use iceoryx2::port::{publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use std::hint;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The contender.
pub struct Iceoryx;

impl Contender for Iceoryx {
    fn info(&self) -> Info {
        Info::new("iceoryx2", "iceoryx2's publish-subscribe, polled without a pause", Family::Peer, Waits::Spin)
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        (shape.consumers > 1).then(|| "it hands each message to all subscribers".into())
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        static SERVICES: AtomicU32 = AtomicU32::new(0);
        // What turns before this one have left: their processes were killed.
        sweep();
        // This process makes no node: what the library keeps for a process would be copied into those that are forked.
        let (host, service) = (std::process::id(), SERVICES.fetch_add(1, Relaxed));
        Ok(Opened::Processes(Box::new(Topic { host, service, shape: *shape })))
    }
}

/// A service that participants open, each in its own process.
struct Topic {
    host: u32,
    service: u32,
    shape: Shape,
}

type Factory = PortFactory<ipc::Service, [u8], ()>;

impl Topic {
    /// Nothing is overwritten, and whoever publishes waits for room: otherwise payloads would be lost.
    fn open(&self) -> Result<(Node<ipc::Service>, Factory)> {
        let node = node(self.host)?;
        let name = format!("payloads-{}", self.service);
        let builder = node.service_builder(&name.as_str().try_into()?).publish_subscribe::<[u8]>();
        let service = builder
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(self.shape.capacity)
            .max_publishers(self.shape.producers)
            .max_subscribers(1)
            .max_nodes(self.shape.producers + 1)
            .open_or_create()?;
        Ok((node, service))
    }
}

impl Queue for Topic {
    fn sender(&self, _: usize) -> Result<Box<dyn Sender + '_>> {
        let (node, service) = self.open()?;
        let publisher = service
            .publisher_builder()
            .initial_max_slice_len(self.shape.payload)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok(Box::new(Publishing { publisher, _node: node }))
    }

    fn receiver(&self, _: usize) -> Result<Box<dyn Receiver + '_>> {
        let (node, service) = self.open()?;
        let subscriber = service.subscriber_builder().buffer_size(self.shape.capacity).create()?;
        Ok(Box::new(Subscribed { subscriber, _node: node }))
    }
}

// Ports before nodes: they use them to the last.
struct Publishing {
    publisher: Publisher<ipc::Service, [u8], ()>,
    _node: Node<ipc::Service>,
}

struct Subscribed {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    _node: Node<ipc::Service>,
}

impl Sender for Publishing {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        for payload in payloads.iter() {
            // Whoever is to receive it may not have subscribed yet.
            while self.publisher.loan_slice_uninit(payload.len())?.write_from_slice(payload).send()? == 0 {
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

impl Receiver for Subscribed {
    fn receive(&mut self, _: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        loop {
            match self.subscriber.receive()? {
                Some(sample) => {
                    each(&sample);
                    return Ok(());
                }
                None => hint::spin_loop(),
            }
        }
    }
}
