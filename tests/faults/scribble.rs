//! The rogue: a job that finds the region in its own process and writes over it what it likes. Everything follows from one number.

use crate::numbers::Numbers;
use gristmill::layout::{
    self, Arena, Channel, Described, EventWords, Header, Participant, Progress, ResultHead, SlotHead, SlotWord, State,
};
use gristmill::ring::frame;
use std::fs;

impl Numbers {
    /// A number that somebody might not have thought of.
    pub fn odd(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => (1u64 << self.below(64)).wrapping_sub(1),
            4 | 5 => self.below(70),
            6 => u64::from(u32::MAX) - self.below(5),
            _ => self.next(),
        }
    }
}

/// The kinds of what is written over the region, by number.
pub const KINDS: [&str; 15] = [
    "random bytes",
    "bit flips",
    "slot heads",
    "slot words",
    "progress words",
    "result heads",
    "forged outcomes",
    "forged references",
    "ring entries",
    "ring positions",
    "events",
    "locks",
    "arenas",
    "participants",
    "headers",
];

/// The region as the rogue sees it.
struct Map {
    base: *mut u8,
    size: usize,
}

impl Map {
    /// The mapping of this process that starts as a region does.
    fn find() -> Option<Map> {
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        maps.lines().filter(|line| line.contains(" rw-s ")).find_map(|line| {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let [from, to] = [from, to].map(|text| usize::from_str_radix(text, 16));
            let (from, to) = (from.ok()?, to.ok()?);
            // SAFETY: the kernel has just named these bytes as readable and shared; nothing unmaps a region that a worker serves.
            let magic = unsafe { (from as *const u64).read_volatile() };
            (magic == layout::MAGIC && to - from >= layout::MIN_REGION)
                .then_some(Map { base: from as *mut u8, size: to - from })
        })
    }

    fn read(&self, at: usize, bytes: usize) -> u64 {
        // SAFETY: `byte` looks at the size of the mapping.
        (0..bytes)
            .rev()
            .fold(0, |n, k| n << 8 | self.byte(at.wrapping_add(k)).map_or(0, |b| u64::from(unsafe { b.read_volatile() })))
    }

    fn byte(&self, at: usize) -> Option<*mut u8> {
        // SAFETY: inside the mapping.
        (at < self.size).then(|| unsafe { self.base.add(at) })
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        for (k, &byte) in bytes.iter().enumerate() {
            if let Some(place) = self.byte(at.wrapping_add(k)) {
                // SAFETY: inside the mapping; that others are surprised is what this is for.
                unsafe { place.write_volatile(byte) };
            }
        }
    }

    /// What stands in a field of a structure.
    fn field(&self, at: usize, structure: &'static Described, name: &str) -> usize {
        let (at, size) = self.place(at, structure, name);
        self.read(at, size) as usize
    }

    fn place(&self, at: usize, structure: &'static Described, name: &str) -> (usize, usize) {
        let field = structure.fields.iter().find(|f| f.name == name).expect("a field of the structure");
        (at.wrapping_add(field.offset), field.size)
    }

    fn set(&self, at: usize, structure: &'static Described, name: &str, value: u64) {
        let (at, size) = self.place(at, structure, name);
        self.write(at, &value.to_le_bytes()[..size.min(8)]);
    }

    /// Writes something into one field, whichever.
    fn any_field(&self, numbers: &mut Numbers, at: usize, structure: &'static Described, which: impl Fn(&str) -> bool) {
        let fields: Vec<_> = structure.fields.iter().filter(|f| which(f.name)).collect();
        let field = fields[numbers.below(fields.len() as u64) as usize];
        let value = [numbers.odd(), numbers.odd()].map(u64::to_le_bytes).concat();
        self.write(at.wrapping_add(field.offset), &value[..field.size.min(8)]);
    }
}

/// A channel of the region, as its descriptor says.
struct Place {
    desc: usize,
    slots: u64,
    slot_size: usize,
    slots_at: usize,
    result: usize,
}

impl Place {
    fn slot(&self, n: u64) -> usize {
        self.slots_at.wrapping_add((n as usize).wrapping_mul(self.slot_size))
    }
}

/// The number of the kind that follows from a seed.
pub fn kind_of(seed: u64) -> usize {
    Numbers(seed).below(KINDS.len() as u64) as usize
}

/// Writes over the region of this process what follows from `seed`. What another rogue has written may be no region any more.
pub fn scribble(seed: u64) {
    let Some(map) = Map::find() else { return };
    let mut numbers = Numbers(seed);
    let kind = numbers.below(KINDS.len() as u64) as usize;
    let header = &Header::DESCRIBED;
    let channels = map.field(0, header, "channels_used").clamp(1, 8) as u64;
    let desc = map.field(0, header, "channels_offset").wrapping_add(numbers.below(channels) as usize * size_of::<Channel>());
    let of = |name| map.field(desc, &Channel::DESCRIBED, name);
    let place = Place {
        desc,
        slots: of("slots").clamp(1, 1 << 24) as u64,
        slot_size: of("slot_size").max(64),
        slots_at: of("slots_offset"),
        result: of("result_offset"),
    };
    for _ in 0..1 + numbers.below(12) {
        write_over(&map, &mut numbers, &place, kind);
    }
}

/// A slot, most often one of those that are in use.
fn some_slot(map: &Map, numbers: &mut Numbers, place: &Place) -> usize {
    let in_use = |at: &usize| map.read(*at, 4) & 7 != 0;
    let used: Vec<usize> = (0..place.slots.min(512)).map(|n| place.slot(n)).filter(in_use).collect();
    match used.len() as u64 {
        n if n > 0 && numbers.below(8) > 0 => used[numbers.below(n) as usize],
        _ => place.slot(numbers.below(place.slots)),
    }
}

/// No participant says any more what it runs.
pub fn hide() {
    let map = Map::find().expect("a region");
    let at = map.field(0, &Header::DESCRIBED, "participants_offset");
    (1..5).for_each(|k| map.set(at + k * size_of::<Participant>(), &Participant::DESCRIBED, "runs_channel", 0));
}

/// Nobody can attach any more.
pub fn ruin() {
    let map = Map::find().expect("a region");
    map.set(0, &Header::DESCRIBED, "heap_size", u64::MAX);
}

/// All room for results is taken, by nobody.
pub fn fill() {
    let map = Map::find().expect("a region");
    let arena = map.field(0, &Header::DESCRIBED, "arenas_offset") + size_of::<Arena>();
    let of = |name| map.field(arena, &Arena::DESCRIBED, name);
    map.write(of("bits_offset"), &vec![0xFF; of("units") / 8]);
}

fn write_over(map: &Map, numbers: &mut Numbers, place: &Place, kind: usize) {
    let [heap, used] = ["heap_offset", "heap_used"].map(|name| map.field(0, &Header::DESCRIBED, name));
    let used = heap.saturating_add(used).clamp(4096, map.size) as u64;
    let slot = some_slot(map, numbers, place);
    let result = slot.wrapping_add(place.result);
    let outcomes = result.wrapping_add(size_of::<ResultHead>());
    let state =
        [State::Free, State::Owned, State::Ready, State::Running, State::Finished, State::Done][numbers.below(6) as usize];
    let word = SlotWord(map.read(slot, 8));
    match KINDS[kind] {
        "random bytes" => {
            let bytes: Vec<u8> = (0..1 + numbers.below(256)).map(|_| numbers.next() as u8).collect();
            map.write(numbers.below(used) as usize, &bytes);
        }
        "bit flips" => {
            let at = numbers.below(used) as usize;
            map.write(at, &[map.read(at, 1) as u8 ^ 1 << numbers.below(8)]);
        }
        "slot heads" => map.any_field(numbers, slot, &SlotHead::DESCRIBED, |name| name != "word"),
        "slot words" => {
            let owner = [0, 1, 2, 3, 4, 77, 4095][numbers.below(7) as usize];
            let generation = word.generation().wrapping_add([0, 0, 0, 1, u32::MAX, 1 << 20][numbers.below(6) as usize]);
            let words = [SlotWord::new(state, owner, 0, generation).0, word.to(state, owner).0, numbers.next()];
            map.write(slot, &words[numbers.below(3) as usize].to_le_bytes());
        }
        "progress words" => {
            let now = Progress(map.field(result, &ResultHead::DESCRIBED, "progress") as u64);
            let counts = [0, 1, 2, now.done().wrapping_add(1), now.limit(), layout::MAX_ITEMS].map(u64::from);
            let any = |numbers: &mut Numbers| counts[numbers.below(6) as usize];
            let length = [0, 1, now.length() + 9, 3000, 1 << 20, layout::MAX_LENGTH][numbers.below(6) as usize];
            let forged = any(numbers) | any(numbers) << 14 | numbers.below(3) << 28 | numbers.below(2) << 36;
            let words = [forged | u64::from(length) << 40, now.condemn().0, now.cut().0, now.finish(1, 9, 1).0, numbers.next()];
            map.set(result, &ResultHead::DESCRIBED, "progress", words[numbers.below(5) as usize]);
        }
        "result heads" => map.any_field(numbers, result, &ResultHead::DESCRIBED, |name| name != "progress"),
        "forged outcomes" => {
            // Where the next ones will be counted, or where the first ones are; and now and then they are counted at once.
            let now = Progress(map.field(result, &ResultHead::DESCRIBED, "progress") as u64);
            let array = frame::array(numbers.odd() as u8, numbers.odd() as u16);
            let long = [frame::LONG + numbers.below(16) as u8, numbers.odd() as u8, 0, numbers.below(2) as u8, 0];
            let same = [numbers.next() as u8; 40];
            let record = [&array[..], &long, &same][numbers.below(3) as usize];
            map.write(outcomes.wrapping_add(numbers.below(2) as usize * now.length() as usize), record);
            if numbers.below(2) == 0 {
                let done = now.limit() - now.done().min(now.limit());
                map.set(result, &ResultHead::DESCRIBED, "progress", now.finish(done, record.len() as u32, 0).0);
                map.write(slot, &word.to(State::Finished, word.owner().max(2)).0.to_le_bytes());
            }
        }
        "forged references" => {
            let now = Progress(map.field(result, &ResultHead::DESCRIBED, "progress") as u64);
            let left = now.limit().saturating_sub(now.done()).min(400);
            let (block, length) = (numbers.odd() as u32, numbers.odd() as u32);
            let references = frame::reference(block, length).repeat(left as usize);
            map.write(outcomes.wrapping_add(now.length() as usize), &references);
            map.set(result, &ResultHead::DESCRIBED, "progress", now.finish(left, references.len() as u32, 0).0);
            map.write(slot, &word.to(State::Finished, word.owner().max(2)).0.to_le_bytes());
        }
        "ring entries" => {
            let which = ["job_ring_offset", "result_ring_offset"][numbers.below(2) as usize];
            let at = map.field(place.desc, &Channel::DESCRIBED, which);
            let entries = map.field(place.desc, &Channel::DESCRIBED, "ring_size") as u64;
            // Stale ones, those of others, and slots that there are not.
            let index = [slot.wrapping_sub(place.slots_at) as u64 / place.slot_size as u64, place.slots, numbers.odd()]
                [numbers.below(3) as usize];
            let generation = u64::from(word.generation());
            let generation = [generation, generation + 1, generation.wrapping_sub(1), numbers.odd()][numbers.below(4) as usize];
            let entry = index & 0xFFFF_FFFF | generation << 32;
            // More than one, or none that was pushed would be met.
            for k in 0..entries.min(64) {
                map.write(at.wrapping_add(8 * k as usize), &entry.to_le_bytes());
            }
        }
        "ring positions" => {
            let names = ["job_head", "job_tail", "result_head", "result_tail"];
            let name = names[numbers.below(4) as usize];
            let now = map.field(place.desc, &Channel::DESCRIBED, name) as u64;
            let to = [now.wrapping_add(1), now.wrapping_sub(1), 0, numbers.odd()][numbers.below(4) as usize];
            map.set(place.desc, &Channel::DESCRIBED, name, to);
        }
        "events" => {
            let name = ["jobs", "free", "done", "assist"][numbers.below(4) as usize];
            let (at, _) = map.place(place.desc, &Channel::DESCRIBED, name);
            let [sequence, sleepers, turns] = ["sequence", "sleepers", "turns"];
            // Nobody sleeps, it says: then nobody is woken. Or everybody has been woken already.
            let words =
                [(sleepers, 0), (sleepers, numbers.odd()), (sequence, numbers.odd()), (turns, 0), (turns, numbers.odd())];
            let (field, value) = words[numbers.below(5) as usize];
            map.set(at, &EventWords::DESCRIBED, field, value);
        }
        "locks" => {
            let name = ["job_lock", "result_lock"][numbers.below(2) as usize];
            let (at, _) = map.place(place.desc, &Channel::DESCRIBED, name);
            let mine = u64::from(std::process::id());
            let words = [0, 1 << 31, 1 << 12 | 1, 1 << 12 | 2, 2, 3, 1 << 12 | 77, mine, numbers.odd()];
            map.write(at, &(words[numbers.below(9) as usize] as u32).to_le_bytes());
        }
        "arenas" => {
            let arena = map.field(0, &Header::DESCRIBED, "arenas_offset");
            let arena = arena.wrapping_add(numbers.below(2) as usize * size_of::<Arena>());
            match numbers.below(3) {
                0 => map.any_field(numbers, arena, &Arena::DESCRIBED, |_| true),
                which => {
                    let name = ["table_offset", "bits_offset"][which as usize - 1];
                    let at = map.field(arena, &Arena::DESCRIBED, name).wrapping_add(8 * numbers.below(64) as usize);
                    map.write(at, &numbers.odd().to_le_bytes());
                }
            }
        }
        "participants" => {
            let at = map.field(0, &Header::DESCRIBED, "participants_offset");
            let who = at.wrapping_add((1 + numbers.below(4)) as usize * size_of::<Participant>());
            map.any_field(numbers, who, &Participant::DESCRIBED, |_| true);
        }
        _ => match numbers.below(2) {
            0 => map.any_field(numbers, 0, &Header::DESCRIBED, |_| true),
            _ => map.any_field(numbers, place.desc, &Channel::DESCRIBED, |_| true),
        },
    }
}
