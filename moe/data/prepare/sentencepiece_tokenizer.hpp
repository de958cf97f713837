// sentencepiece_tokenizer.hpp: a SentencePiece .model as a Tokenizer. Ids are those SentencePiece gives for the whole
// document; an end is the model's eos.
//
// Never in a program that links gRPC or LibTorch: all three carry protobuf.
#pragma once

#include "base/result.hpp"
#include "moe/data/prepare/tokenizer.hpp"

#include <memory>
#include <string>

namespace regroup {

// `by_chunks`: words are encoded apart and remembered where the model allows (a BPE model that rewrites no text): the
// same ids, ten times as fast. Off, SentencePiece does all the work: for tests and the bench. kNotFound, kBadInput (not
// a model, or one without eos), naming the file.
Result<std::shared_ptr<const Tokenizer>> sentencepiece_tokenizer(const std::string& path, bool by_chunks = true);

}  // namespace regroup
