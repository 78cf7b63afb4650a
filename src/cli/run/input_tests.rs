//! Input of every shape, cut at every place: the jobs and their places are those of a simple split of the whole.

use super::*;

/// A named pipe or file is not needed: pieces are handed in as the reading thread would.
fn input_of(split: Split, pieces: Vec<Piece>) -> Input {
    let ends = pieces.iter().filter(|piece| !matches!(piece, Piece::Bytes(_))).count();
    let mut input = Input::open(Vec::new(), split).unwrap();
    let (full, receiver) = sync_channel(pieces.len() + 1);
    pieces.into_iter().for_each(|piece| full.send(piece).unwrap());
    input.pieces = receiver;
    input.files = ends as u32;
    input
}

#[derive(Debug, PartialEq)]
enum Got {
    Job(Vec<u8>, u32, u64),
    TooLong(u32, u64),
    Unreadable(u32),
}

fn all(mut input: Input) -> Vec<Got> {
    let mut got = Vec::new();
    loop {
        match input.next() {
            Step::Job(place) => got.push(Got::Job(input.job().to_vec(), place.file, place.line)),
            Step::TooLong(place) => got.push(Got::TooLong(place.file, place.line)),
            Step::Unreadable(file, _) => got.push(Got::Unreadable(file)),
            Step::NotYet => input.wait(Duration::from_secs(60)),
            Step::End => return got,
        }
    }
}

fn job(bytes: &[u8], file: u32, line: u64) -> Got {
    Got::Job(bytes.to_vec(), file, line)
}

fn bytes(bytes: &[u8]) -> Piece {
    Piece::Bytes(bytes.to_vec())
}

#[test]
fn every_cut_of_the_input_into_blocks_gives_the_same_jobs() {
    let text = b"\n 12\t+7  x\n\n\nlong-token\r\n 9";
    let words = [job(b"12", 0, 2), job(b"+7", 0, 2), job(b"x", 0, 2), job(b"long-token\r", 0, 5), job(b"9", 0, 6)];
    let lines = [job(b" 12\t+7  x", 0, 2), job(b"long-token\r", 0, 5), job(b" 9", 0, 6)];
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let cut = || vec![bytes(&text[..first]), bytes(&text[first..second]), bytes(&text[second..]), Piece::EndOfFile];
            assert_eq!(all(input_of(Split::Words, cut())), words);
            assert_eq!(all(input_of(Split::Lines, cut())), lines);
        }
    }
}

#[test]
fn a_file_ends_its_last_line_even_without_a_newline() {
    let pieces = vec![bytes(b"1\n2"), Piece::EndOfFile, Piece::EndOfFile, bytes(b"3"), Piece::EndOfFile];
    assert_eq!(all(input_of(Split::Words, pieces)), [job(b"1", 0, 1), job(b"2", 0, 2), job(b"3", 2, 1)]);
}

#[test]
fn a_file_that_fails_halfway_loses_no_job_and_the_next_file_follows() {
    let failed = || Piece::Failed(io::Error::other("gone"));
    let pieces = vec![bytes(b"1 2"), failed(), failed(), bytes(b"3"), Piece::EndOfFile];
    let expected = [job(b"1", 0, 1), job(b"2", 0, 1), Got::Unreadable(0), Got::Unreadable(1), job(b"3", 2, 1)];
    assert_eq!(all(input_of(Split::Words, pieces)), expected);
}

#[test]
fn an_endless_token_takes_no_memory_and_is_told_with_its_place() {
    let most = vec![b'0'; MAX_JOB];
    let mut whole = b"1\n".to_vec();
    whole.extend_from_slice(&most);
    whole.extend_from_slice(b"\n0");
    whole.extend_from_slice(&most);
    whole.extend_from_slice(b" 5\n");
    let expected = [job(b"1", 0, 1), job(&most, 0, 2), Got::TooLong(0, 3), job(b"5", 0, 3)];
    assert_eq!(all(input_of(Split::Words, vec![bytes(&whole), Piece::EndOfFile])), expected, "in one block");
    let single = whole.iter().map(|&c| bytes(&[c])).chain([Piece::EndOfFile]).collect();
    assert_eq!(all(input_of(Split::Words, single)), expected, "a block a byte");

    let mut pieces: Vec<Piece> = (0..100).map(|_| bytes(&most)).collect();
    pieces.push(Piece::EndOfFile);
    let mut input = input_of(Split::Lines, pieces);
    assert!(matches!(input.next(), Step::TooLong(Place { file: 0, line: 1 })));
    assert!(matches!(input.next(), Step::End));
    assert!(input.carry.capacity() <= 2 * MAX_JOB);
}

#[test]
fn files_are_read_in_turn_and_what_cannot_be_read_is_told() {
    let folder = std::env::temp_dir().join(format!("gristmill-input-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (large, missing, last) = (folder.join("large"), folder.join("missing"), folder.join("last"));
    let numbers: String = (1..=60_000).map(|n| format!("{n}\n")).collect();
    std::fs::write(&large, &numbers).unwrap();
    std::fs::write(&last, "end").unwrap();
    let mut input = Input::open(vec![large.clone(), missing, folder.clone(), last.clone()], Split::Lines).unwrap();
    for n in 1..=60_000 {
        while matches!(input.next(), Step::NotYet) {
            input.wait(Duration::from_secs(60));
        }
        assert_eq!(input.job(), n.to_string().as_bytes());
        assert_eq!(input.place, Place { file: 0, line: n });
    }
    assert!(input.consumed() >= numbers.len() as u64 - 1);
    assert_eq!(all(input), [Got::Unreadable(1), Got::Unreadable(2), job(b"end", 3, 1)]);
    assert_eq!(total_bytes(&[large.clone(), last.clone()]), Some(numbers.len() as u64 + 3));
    assert_eq!(total_bytes(&[large, folder.clone()]), None);
    std::fs::remove_dir_all(folder).unwrap();
}
