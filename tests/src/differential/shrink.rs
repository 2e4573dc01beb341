//! Makes a config.json smaller as long as a difference stays.

use serde_json::Value;

/// Takes members and elements out one by one, the largest first, and keeps each change
/// after which `stays` is still true. Asks at most `limit` times.
pub(super) fn shrink(config: &Value, limit: usize, mut stays: impl FnMut(&Value) -> bool) -> Value {
    let mut small = config.clone();
    let mut asked = 0;
    loop {
        let before = small.clone();
        // Deeper places are tried after the ones that hold them.
        let mut places = Vec::new();
        list(&small, "", &mut places);
        places.sort_by_key(|place| place.matches('/').count());
        // From the back, so that an element that goes does not rename those to come.
        for place in &places {
            if asked == limit {
                return small;
            }
            let mut candidate = small.clone();
            if !remove(&mut candidate, place) {
                continue;
            }
            asked += 1;
            if stays(&candidate) {
                small = candidate;
            }
        }
        if small == before {
            return small;
        }
    }
}

/// The places of all members and elements, as JSON pointers.
fn list(value: &Value, path: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let place = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                places.push(place.clone());
                list(value, &place, places);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate().rev() {
                let place = format!("{path}/{index}");
                places.push(place.clone());
                list(value, &place, places);
            }
        }
        _ => {}
    }
}

/// Removes what is at a place. False if nothing is there any more.
fn remove(value: &mut Value, place: &str) -> bool {
    let Some((parent, last)) = place.rsplit_once('/') else { return false };
    let last = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(members)) => members.remove(&last).is_some(),
        Some(Value::Array(elements)) => match last.parse::<usize>() {
            Ok(index) if index < elements.len() => {
                elements.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shrink;

    #[test]
    fn only_what_the_difference_needs_stays() {
        let config = json!({
            "a": [1, 2, 3, { "deep": true, "other": "x" }], "b": { "c/d": 1, "e": 2 }, "f": null
        });
        let small = shrink(&config, 1000, |config| {
            config["b"]["c/d"] == 1
                && config["a"].as_array().is_some_and(|a| a.iter().any(|x| x["deep"] == true))
        });
        assert_eq!(small, json!({ "a": [{ "deep": true }], "b": { "c/d": 1 } }));
    }

    #[test]
    fn it_asks_no_more_often_than_it_may() {
        let mut asked = 0;
        shrink(&json!([1, 2, 3, 4, 5]), 3, |_| {
            asked += 1;
            true
        });
        assert_eq!(asked, 3);
    }
}
