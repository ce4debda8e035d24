//! Everything that the crate promises, through its public face alone.

#[cfg(test)]
mod argv;
#[cfg(test)]
mod every;
#[cfg(test)]
mod features;
#[cfg(test)]
mod own_samples;
#[cfg(test)]
mod package;
#[cfg(test)]
mod qmp;
#[cfg(test)]
mod real;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod running;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod samples_own;
#[cfg(test)]
mod version;
#[cfg(test)]
mod versions;
