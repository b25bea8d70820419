//! What a model's id at Bedrock tells about fields that only some vendors' models take.

/// Whose model it is, as far as requests differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's.
    Claude,
    /// Amazon's that can think.
    Nova2,
    /// Amazon's others.
    Nova,
    /// OpenAI's with open weights.
    GptOss,
    /// Any other vendor's.
    Other,
    /// An application's own profile, or an imported model: the id does not tell. It gets what the client says in
    /// Anthropic's words, since only a client that knows the model would say it.
    Untold,
}

impl Family {
    /// Ids are `vendor.model-version`, with a region before it, or an ARN that ends in one.
    pub(super) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        if model.contains("claude") || model.contains("anthropic.") {
            Self::Claude
        } else if model.contains("amazon.nova-2") {
            Self::Nova2
        } else if model.contains("amazon.nova") {
            Self::Nova
        } else if model.contains("openai.") {
            Self::GptOss
        } else if model.contains('.') {
            Self::Other
        } else {
            Self::Untold
        }
    }

    /// Takes Anthropic's own fields beside Converse's.
    pub(super) const fn takes_anthropics(self) -> bool {
        match self {
            Self::Claude | Self::Untold => true,
            Self::Nova2 | Self::Nova | Self::GptOss | Self::Other => false,
        }
    }

    /// Takes cache points; the others refuse them.
    pub(super) const fn caches(self) -> bool {
        match self {
            Self::Claude | Self::Nova2 | Self::Nova | Self::Untold => true,
            Self::GptOss | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Family::{self, Claude, GptOss, Nova, Nova2, Other, Untold};

    #[test]
    fn vendors_are_told_apart() {
        #[rustfmt::skip]
        let cases = [
            ("anthropic.claude-3-haiku-20240307-v1:0",                                                  Claude),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0",                                            Claude), // across regions
            ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-opus-4-8",              Claude),
            ("amazon.nova-pro-v1:0",                                                                    Nova),
            ("global.amazon.nova-2-lite-v1:0",                                                          Nova2),
            ("openai.gpt-oss-120b-1:0",                                                                 GptOss),
            ("meta.llama3-3-70b-instruct-v1:0",                                                         Other),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2c3",                        Untold),
            ("arn:aws:bedrock:us-east-1:1:imported-model/a1b2c3",                                       Untold),
        ];
        for (model, family) in cases {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
