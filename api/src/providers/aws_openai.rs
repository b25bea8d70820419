//! Amazon Bedrock's own endpoints of OpenAI's API: chat and responses, below `/openai/v1`, signed as Bedrock wants it.

use super::{Provider, openai};
use crate::wire::Wire;

pub(super) const PROVIDER: Provider = Provider {
    name: "aws.openai",
    wire: |endpoint| {
        let spoken = |wire: &Wire| matches!(wire, Wire::ChatCompletions | Wire::Responses);
        (openai::PROVIDER.wire)(endpoint).filter(spoken)
    },
    path: |address| Ok(address.below("/openai/v1")),
    ..openai::PROVIDER
};
