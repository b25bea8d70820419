//! Price lists to the table of prices. What is built in stays behind them, unless one says that it goes.

use ring::digest::{SHA256, digest};
use tollgate_ratelimit::money::parse_usd;
use tollgate_ratelimit::price::{PerMillion, Prices, Rates, Tier};

use super::{built_in, covers};
use crate::compile::backends::{SERVED, served};
use crate::compile::index::{Entry, Index};
use crate::load::Loaded;
use crate::problem::{Problem, shown};
use crate::resources::{
    BuiltIn, Currency, DateText, Pattern, PriceEntry, PriceListSpec, PriceText, PriceTier, TokenPrices,
};
use crate::schema::day;
use crate::snapshot::{Price, PriceFor, PriceRow, PriceTable};

/// Where in an entry something is wrong: the field, what came, and what was expected.
type Wrong = (String, String, String);

/// Compiles every PriceList.
pub(super) fn compile(index: &Index<'_>, problems: &mut Vec<Problem>) -> PriceTable {
    let mut rows = Vec::new();
    let mut keep = true;
    for Entry { loaded, spec } in index.price_lists.iter() {
        let PriceListSpec { currency: Currency::Usd, built_in, prices } = spec;
        keep &= *built_in == BuiltIn::Keep;
        for (at, entry) in prices.iter().enumerate() {
            match read(index, loaded, (at, entry), problems) {
                Ok(read) => rows.extend(read),
                Err((field, value, expected)) => {
                    problems.push(loaded.problem(&format!("spec.prices[{at}]{field}"), value, expected));
                }
            }
        }
    }
    if keep {
        rows.extend(built_in::rows());
    }
    PriceTable::new(rows)
}

fn read(
    index: &Index<'_>,
    loaded: &Loaded,
    (at, entry): (usize, &PriceEntry),
    problems: &mut Vec<Problem>,
) -> Result<Vec<PriceRow>, Wrong> {
    let PriceEntry {
        models,
        backends,
        provider,
        not_before,
        not_after,
        per_million_tokens,
        per_request,
        tiers,
    } = entry;
    let from_day = date(".notBefore", not_before.as_ref())?;
    let until_day = date(".notAfter", not_after.as_ref())?;
    if let (Some(from), Some(until), Some(text)) = (from_day, until_day, not_after)
        && until < from
    {
        return Err((".notAfter".to_owned(), shown(text), "a day that is not before notBefore".to_owned()));
    }
    let of = match (backends, provider) {
        (Some(backends), _) => PriceFor::Backends(named(index, loaded, (at, backends), problems)),
        (None, Some(schema)) => PriceFor::Provider(served(*schema).ok_or_else(|| {
            let what = format!("a schema that is served: {SERVED}");
            (".provider".to_owned(), format!("{schema:?}"), what)
        })?),
        (None, None) => PriceFor::Any,
    };
    let prices = Prices {
        rates: rates("", per_million_tokens)?,
        request: per_request.as_ref().map_or(Ok(0), |price| nano_usd(".perRequest", price))?,
        tiers: tiers.iter().enumerate().map(tier).collect::<Result<_, _>>()?,
    };
    prices.check().map_err(|invalid| (String::new(), String::new(), invalid.to_string()))?;
    let content = format!("{prices:?}{of:?}{models:?}{from_day:?}{until_day:?}");
    let version = format!("{}#{at}@{}", loaded.name, fingerprint(&content));
    let row = |model: &Pattern| PriceRow {
        model: model.to_string(),
        of: of.clone(),
        from_day,
        until_day,
        built_in: false,
        price: Price { version: version.clone(), prices: prices.clone() },
    };
    Ok(models.iter().map(row).collect())
}

/// The first eight hexadecimal digits of a content's SHA-256.
pub(super) fn fingerprint(content: &str) -> String {
    let digest = digest(&SHA256, content.as_bytes());
    let first = digest.as_ref().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    format!("{first:08x}")
}

fn named(
    index: &Index<'_>,
    loaded: &Loaded,
    (at, backends): (usize, &[Pattern]),
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let mut patterns = Vec::new();
    for (number, backend) in backends.iter().enumerate() {
        let full = covers::qualified(&loaded.name.namespace, backend);
        let mut all = index.service_backends.iter().map(|backend| backend.loaded.name.to_string());
        if !all.any(|name| tollgate_ratelimit::cover::matches(&full, &name)) {
            let field = format!("spec.prices[{at}].backends[{number}]");
            let what = "an AIServiceBackend that exists: none does, and the price is nobody's";
            problems.push(loaded.problem(&field, shown(backend), what));
        }
        let (namespace, name) = full.split_once('/').unwrap_or(("*", &full));
        patterns.push((namespace.to_owned(), name.to_owned()));
    }
    patterns
}

fn tier((at, tier): (usize, &PriceTier)) -> Result<Tier, Wrong> {
    let PriceTier { over_input_tokens, per_million_tokens } = tier;
    let rates = rates(&format!(".tiers[{at}]"), per_million_tokens)?;
    Ok(Tier { over_input_tokens: u64::from(*over_input_tokens), rates })
}

fn rates(path: &str, prices: &TokenPrices) -> Result<Rates, Wrong> {
    let TokenPrices { input, output, cached_input, cache_creation_input, reasoning } = prices;
    let read = |name: &str, price: &PriceText| nano_usd(&format!("{path}.perMillionTokens.{name}"), price);
    let maybe =
        |name: &str, price: &Option<PriceText>| price.as_ref().map(|price| read(name, price)).transpose();
    Ok(Rates {
        input: read("input", input)?,
        output: maybe("output", output)?.unwrap_or(0),
        cached_input: maybe("cachedInput", cached_input)?,
        cache_creation_input: maybe("cacheCreationInput", cache_creation_input)?,
        reasoning: maybe("reasoning", reasoning)?,
    })
}

fn nano_usd(field: &str, price: &PriceText) -> Result<PerMillion, Wrong> {
    parse_usd(&format!("{} USD", &**price)).map_err(|_| {
        let what = "dollars with at most nine digits after the point, at most 2,300,000,000".to_owned();
        (field.to_owned(), shown(price), what)
    })
}

fn date(field: &str, date: Option<&DateText>) -> Result<Option<u32>, Wrong> {
    let Some(text) = date else { return Ok(None) };
    let found = day(text);
    found.map(Some).ok_or_else(|| {
        (field.to_owned(), shown(text), "a day of the calendar, such as 2026-01-31, since 1970".to_owned())
    })
}
