//! A Map of which some is kept: what it gives its iterations, and where each of them goes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::injected::route;
use super::walk::{Place, Walk, is_jsonata};
use super::{Check, Fields, object, same, text};
use crate::cut::Region;

/// An index that no iteration of a Map has had.
const NEVER: u64 = 4_000_000_000;

/// The iterations of `is`, which stands for `was`; `jsonata`: what the Map itself is written in.
pub(super) fn iterations(
    check: &mut Check,
    place: &Place,
    (was, is): (&Fields, &Fields),
    plan: &BTreeMap<u32, Region>,
    jsonata: bool,
) {
    let field = if was.contains_key("ItemProcessor") {
        "ItemProcessor"
    } else {
        "Iterator"
    };
    let (Some(original), Some(clone)) = (object(was, field), object(is, field)) else {
        return check.say(place, "the processor stands in another field");
    };
    let mut walk = Walk::new(check, place, original, clone);
    let keys = match keys(was, is, jsonata) {
        Ok(keys) if plan.values().any(|region| *region != Region::Fresh) => keys,
        Ok(_) => return check.say(place, "a Map is changed of which nothing is kept"),
        Err(problem) => return check.say(place, problem),
    };
    if let Err(problem) = routes(check, &mut walk, (original, clone), plan, &keys) {
        check.say(place, problem);
    }
    walk.finish(check);
}

/// Where an iteration's input has its index, and where its item.
struct Keys {
    index: String,
    item: String,
}

fn keys(was: &Fields, is: &Fields, jsonata: bool) -> Result<Keys, String> {
    let mut changed = Vec::new();
    for field in ["ItemSelector", "Parameters"] {
        let (one, other) = (was.get(field), is.get(field));
        if one.map(Value::to_string) != other.map(Value::to_string) {
            changed.push((one.filter(|selector| !selector.is_null()), other));
        }
    }
    let [(selector, Some(Value::Object(wrapped)))] = changed.as_slice() else {
        return Err("the selector is not wrapped".to_owned());
    };
    let (index, value, end) = match jsonata {
        true => (
            "{% $states.context.Map.Item.Index %}",
            "{% $states.context.Map.Item.Value %}",
            "",
        ),
        false => ("$$.Map.Item.Index", "$$.Map.Item.Value", ".$"),
    };
    let value = json!(value);
    let mut found = Keys {
        index: String::new(),
        item: String::new(),
    };
    for (key, given) in wrapped {
        let evaluated = key.strip_suffix(end).filter(|_| !end.is_empty() || jsonata);
        if found.index.is_empty() && *given == index && evaluated.is_some() {
            evaluated.unwrap_or_default().clone_into(&mut found.index);
            continue;
        }
        match selector {
            Some(selector) if same(selector, given) && (jsonata || evaluated.is_none()) => found.item.clone_from(key),
            None if value == *given => evaluated.unwrap_or_default().clone_into(&mut found.item),
            _ => return Err(format!("{key} of the selector has no place there")),
        }
    }
    match wrapped.len() == 2 && !found.index.is_empty() && !found.item.is_empty() {
        true => Ok(found),
        false => Err("the selector does not give an index and an item".to_owned()),
    }
}

fn routes<'c>(
    check: &mut Check,
    walk: &mut Walk<'c>,
    (original, clone): (&'c Fields, &'c Fields),
    plan: &'c BTreeMap<u32, Region>,
    keys: &Keys,
) -> Result<(), String> {
    let place = walk.place;
    let which = text(clone, "StartAt").ok_or("the processor has no start")?;
    let choice = object(walk.clone, which).ok_or("the processor has no start")?;
    let known = ["Type", "Choices", "Default", "QueryLanguage"];
    if check.originals.contains(which)
        || text(choice, "Type") != Some("Choice")
        || choice.keys().any(|field| !known.contains(&field.as_str()))
        || is_jsonata(choice, place.jsonata) != check.jsonata
    {
        return Err(format!(
            "\"{which}\" is no injected Choice in the language of the top level"
        ));
    }
    walk.seen.insert(which);
    let default = text(choice, "Default").ok_or("the Choice has no Default")?;
    let start = unwraps(check, walk, default, keys)?;
    walk.pair_starts(check, text(original, "StartAt"), Some(start));

    let last = plan.keys().last().copied().map_or(0, u64::from);
    let others = (0..=last + 2).chain([NEVER]);
    for index in others.filter(|index| last < 1_000 || plan.contains_key(&u32::try_from(*index).unwrap_or(u32::MAX))) {
        let to = route(choice, &keys.index, index, check.jsonata)?;
        let region = u32::try_from(index).ok().and_then(|index| plan.get(&index));
        match region.unwrap_or(&Region::Fresh) {
            Region::Fresh if to == default => {}
            Region::Fresh => check.say(place, format!("iteration {index} has never run, but goes to \"{to}\"")),
            _ if to == default => check.say(place, format!("iteration {index} runs as if it never had")),
            Region::Done { output } => walk.gives(check, to, output),
            Region::At(at) => walk.enter(check, to, at),
        }
    }
    Ok(())
}

/// The Pass that gives an iteration its item: where it leads.
fn unwraps<'c>(check: &Check, walk: &mut Walk<'c>, name: &'c str, keys: &Keys) -> Result<&'c str, String> {
    let pass = object(walk.clone, name).ok_or_else(|| format!("there is no \"{name}\""))?;
    let next = text(pass, "Next").ok_or("an item leads nowhere")?;
    let (field, item) = match check.jsonata {
        true => ("Output", format!("{{% $states.input.{} %}}", keys.item)),
        false => ("OutputPath", format!("$.{}", keys.item)),
    };
    let mut expected = json!({"Type": "Pass", field: item, "Next": next});
    if let Some(language) = pass.get("QueryLanguage") {
        expected["QueryLanguage"] = language.clone();
    }
    if check.originals.contains(name)
        || !same(&Value::Object(pass.clone()), &expected)
        || is_jsonata(pass, walk.place.jsonata) != check.jsonata
    {
        return Err(format!("\"{name}\" does not give the item"));
    }
    walk.seen.insert(name);
    Ok(next)
}
