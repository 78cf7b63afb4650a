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

/// Points, and as many CPUs, from which on one parameter is fitted.
pub const ENOUGH_FOR_AMDAHL: usize = 4;

/// Points, and as many CPUs, from which on two parameters are fitted: Gunther advises half a dozen.
pub const ENOUGH_FOR_USL: usize = 6;

/// The serial share of [`amdahl`] that is nearest to speed-ups measured at numbers of workers: least squares of n / speed-up, in which the law is
/// linear. Between 0 and 1.
///
/// # Errors
/// Why it refuses: too few CPUs or points. More workers than CPUs do not count, since they wait for CPUs, of which the law knows nothing.
pub fn fit_amdahl(points: &[(f64, f64)], cpus: usize) -> Result<f64, String> {
    let rows = rows(points, cpus, ENOUGH_FOR_AMDAHL)?;
    Ok(alone(rows.iter().map(|&[alpha, _, lost]| (alpha, lost))).min(1.0))
}

/// Contention and coherency of [`usl`], in the same way; neither is below 0.
///
/// # Errors
/// As [`fit_amdahl`].
pub fn fit_usl(points: &[(f64, f64)], cpus: usize) -> Result<(f64, f64), String> {
    let rows = rows(points, cpus, ENOUGH_FOR_USL)?;
    let sum = |of: fn(&[f64; 3]) -> f64| rows.iter().map(of).sum::<f64>();
    let (aa, ab, bb) = (sum(|r| r[0] * r[0]), sum(|r| r[0] * r[1]), sum(|r| r[1] * r[1]));
    let (al, bl) = (sum(|r| r[0] * r[2]), sum(|r| r[1] * r[2]));
    let determinant = aa * bb - ab * ab;
    let (alpha, beta) = ((al * bb - bl * ab) / determinant, (aa * bl - ab * al) / determinant);
    if (0.0..=1.0).contains(&alpha) && beta >= 0.0 {
        return Ok((alpha, beta));
    }
    // The best within the bounds is on one of them.
    let only_alpha = (alone(rows.iter().map(|r| (r[0], r[2]))).min(1.0), 0.0);
    let only_beta = (0.0, alone(rows.iter().map(|r| (r[1], r[2]))));
    let error = |(alpha, beta): (f64, f64)| rows.iter().map(|r| (r[0] * alpha + r[1] * beta - r[2]).powi(2)).sum::<f64>();
    Ok(if error(only_alpha) <= error(only_beta) { only_alpha } else { only_beta })
}

/// For each usable point the factors of alpha and beta, and what their sum is to be: n / speed-up - 1.
fn rows(points: &[(f64, f64)], cpus: usize, needs: usize) -> Result<Vec<[f64; 3]>, String> {
    if cpus < needs {
        return Err(format!("a fit needs {needs} CPUs, and there are {cpus}"));
    }
    let usable = |&&(n, speedup): &&(f64, f64)| n >= 1.0 && n <= cpus as f64 && speedup > 0.0 && speedup.is_finite();
    let usable: Vec<(f64, f64)> = points.iter().filter(usable).copied().collect();
    let mut places: Vec<f64> = usable.iter().map(|point| point.0).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    if places.len() < needs {
        let has = places.len();
        return Err(format!("a fit needs {needs} numbers of workers, none above that of the CPUs, and there are {has}"));
    }
    Ok(usable.iter().map(|&(n, speedup)| [n - 1.0, n * (n - 1.0), n / speedup - 1.0]).collect())
}

/// The factor, at least 0, by which each first value comes nearest to its second.
fn alone(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (both, squares) = pairs.fold((0.0, 0.0), |(both, squares), (x, y)| (both + x * y, squares + x * x));
    (both / squares).max(0.0)
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

    fn along(law: impl Fn(f64) -> f64, most: u32) -> Vec<(f64, f64)> {
        (1..=most).map(|n| (f64::from(n), law(f64::from(n)))).collect()
    }

    #[test]
    fn a_fit_finds_what_the_points_were_made_from_also_with_some_noise() {
        assert!(near(fit_amdahl(&along(|n| amdahl(n, 0.2), 8), 8).unwrap(), 0.2));
        let (alpha, beta) = fit_usl(&along(|n| usl(n, 0.05, 0.01), 8), 8).unwrap();
        assert!(near(alpha, 0.05) && near(beta, 0.01), "{alpha} {beta}");
        let noisy = along(|n| usl(n, 0.1, 0.02) * if n % 2.0 == 0.0 { 1.02 } else { 0.98 }, 12);
        let (alpha, beta) = fit_usl(&noisy, 12).unwrap();
        assert!((alpha - 0.1).abs() < 0.04 && (beta - 0.02).abs() < 0.005, "{alpha} {beta}");
    }

    #[test]
    fn a_fit_stays_within_what_the_laws_allow() {
        // Better than linear, and worse than serial.
        assert_eq!(fit_amdahl(&along(|n| 1.1 * n, 8), 8), Ok(0.0));
        assert_eq!(fit_amdahl(&along(|n| 1.0 / n, 8), 8), Ok(1.0));
        assert_eq!(fit_usl(&along(|n| 1.1 * n, 8), 8), Ok((0.0, 0.0)));
        // One that is better at its end than the law, and one that is better at its start: beta, and alpha, would be negative.
        let (alpha, beta) = fit_usl(&along(|n| if n < 6.0 { amdahl(n, 0.3) } else { 1.2 * amdahl(n, 0.3) }, 8), 8).unwrap();
        assert!(alpha > 0.0 && beta == 0.0, "{alpha} {beta}");
        let (alpha, beta) = fit_usl(&along(|n| n / (1.0 + 0.01 * n * (n - 1.0) * (n - 1.0)), 8), 8).unwrap();
        assert!(alpha == 0.0 && beta > 0.0, "{alpha} {beta}");
    }

    #[test]
    fn a_fit_refuses_with_too_few_cpus_or_points() {
        let points = along(|n| amdahl(n, 0.2), 8);
        assert_eq!(fit_amdahl(&points, 2).unwrap_err(), "a fit needs 4 CPUs, and there are 2");
        assert_eq!(fit_usl(&points, 5).unwrap_err(), "a fit needs 6 CPUs, and there are 5");
        let few = fit_usl(&points[..5], 8).unwrap_err();
        assert_eq!(few, "a fit needs 6 numbers of workers, none above that of the CPUs, and there are 5");
        // The same place twice is one place, and nothing is learnt from what has no value.
        assert!(fit_amdahl(&[points[0], points[1], points[2], points[2]], 8).is_err());
        assert!(fit_amdahl(&[points[0], points[1], points[2], (4.0, f64::NAN)], 8).is_err());
    }
}
