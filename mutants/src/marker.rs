
/// Appended by the tool: where the user's calls come from in which the broken statement ran.
static BROKEN: Mutex<(u64, Vec<Place>)> = Mutex::new((0, Vec::new()));

/// The broken statement is about to run.
pub(crate) fn broken() {
    let here = with(|recorded, me| {
        let number = recorded.number;
        Some((number, recorded.open(me)?.place?))
    });
    if let Some((number, place)) = here.flatten() {
        let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.0 != number {
            *broken = (number, Vec::new());
        }
        if !broken.1.contains(&place) {
            broken.1.push(place);
        }
    }
}

fn tell_broken(number: u64) {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if broken.0 == number {
        for place in &broken.1 {
            eprintln!("broken in: {}:{}", place.file, place.line);
        }
    }
}
