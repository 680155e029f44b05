//! The programs as their callers run them, against a scripted daemon. `QL_DROPIN_DIR` names a directory of other builds
//! of the same programs (build.sh makes static ones); then those are tested.

#[cfg(test)]
mod checkpassword;
#[cfg(test)]
mod child;
#[cfg(test)]
mod control;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod dovecot;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod getpw;
#[cfg(test)]
mod homes;
#[cfg(test)]
mod impostor;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod local;
#[cfg(test)]
mod meanwhile;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod rcptcheck;
#[cfg(test)]
mod site;
#[cfg(test)]
mod stock;
