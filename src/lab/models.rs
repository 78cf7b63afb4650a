//! What is to be expected: formulas, each with where it comes from.

/// Speed-up of `n` workers whose job holds one lock for the share `held` of its time, at best: each waits for nobody, or the lock is never free.
/// The asymptotic bound of operational analysis (Denning and Buzen, "The operational analysis of queueing network models", 1978).
pub fn bound(n: usize, held: f64) -> f64 {
    (n as f64).min(1.0 / held.max(1e-9))
}

/// The same with waiting: `n` workers, one lock, times that vary exponentially; exact mean value analysis (Reiser and Lavenberg,
/// "Mean-value analysis of closed multichain queueing networks", J. ACM 27, 1980).
pub fn queueing(n: usize, held: f64) -> f64 {
    let (service, think) = (held, 1.0 - held);
    let (mut queue, mut rate) = (0.0, 0.0);
    for members in 1..=n {
        let residence = service * (1.0 + queue);
        rate = members as f64 / (residence + think).max(1e-12);
        queue = rate * residence;
    }
    rate
}

/// Speed-up of `n` workers with the share `serial` that only one can do (Amdahl, "Validity of the single processor approach to achieving large
/// scale computing capabilities", AFIPS 1967).
pub fn amdahl(n: f64, serial: f64) -> f64 {
    n / (1.0 + serial * (n - 1.0))
}

/// The Universal Scalability Law (Gunther, "Guerrilla Capacity Planning", 2007): contention `alpha`, and coherency `beta`, which makes more
/// workers slower in the end.
pub fn usl(n: f64, alpha: f64, beta: f64) -> f64 {
    n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0))
}

/// The share of updates that `n` workers lose if each has read, but not yet written, for the share `window` of its time. Whoever's update stays has
/// overwritten what the others wrote within its window: (n - 1) · window updates, if they come at random. The one before its window stays in turn.
pub fn lost(n: usize, window: f64) -> f64 {
    let overwritten = n.saturating_sub(1) as f64 * window;
    overwritten / (1.0 + overwritten)
}

/// Jain's index of fairness: 1 if all have the same, 1/n if one has everything (Jain, Chiu and Hawe, DEC-TR-301, 1984).
pub fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn known_values() {
        assert!(near(bound(4, 0.5), 2.0) && near(bound(4, 0.0), 4.0));
        // One worker never waits; with the lock always held, more are no faster; without it, all are.
        assert!(near(queueing(1, 0.3), 1.0) && near(queueing(8, 1.0), 1.0) && near(queueing(8, 0.0), 8.0));
        // Two workers, half of the time: the queue seen on arrival is that of one worker, 1/2, so the residence is 3/4, and 2 / (3/4 + 1/2) = 8/5.
        assert!(near(queueing(2, 0.5), 1.6));
        assert!(near(amdahl(2.0, 0.5), 4.0 / 3.0) && near(usl(2.0, 0.5, 0.0), 4.0 / 3.0));
        // One loses nothing; two that are always between read and write each count alone.
        assert!(near(lost(1, 1.0), 0.0) && near(lost(2, 0.0), 0.0) && near(lost(2, 1.0), 0.5) && near(lost(4, 1.0), 0.75));
        assert!(usl(64.0, 0.05, 0.01) < usl(8.0, 0.05, 0.01));
        assert!(near(jain(&[1.0, 1.0, 1.0]), 1.0) && near(jain(&[1.0, 0.0, 0.0, 0.0]), 0.25));
    }
}
