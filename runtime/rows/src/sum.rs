//! A compensated sum, so that the order of rows does not decide a rule at its boundary.

/// A running sum with the rounding kept beside it: A. Neumaier, "Rundungsfehleranalyse
/// einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974); the rounding of one
/// addition without a branch: D. Knuth, The Art of Computer Programming 2, §4.2.2.
#[derive(Default, Clone, Copy)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds a term.
    pub fn add(&mut self, x: f64) {
        let next = self.sum + x;
        let added = next - self.sum;
        self.lost += (self.sum - (next - added)) + (x - added);
        self.sum = next;
    }

    /// Adds what another sum has added.
    pub fn merge(&mut self, other: Self) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    /// The sum so far.
    pub fn value(self) -> f64 {
        self.sum + self.lost
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        terms.into_iter().for_each(|x| sum.add(x));
        sum
    }
}
