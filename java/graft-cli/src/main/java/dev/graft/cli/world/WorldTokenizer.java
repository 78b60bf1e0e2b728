package dev.graft.cli.world;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.world.BpeTrainer.Vocabulary;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The tokenizer of the embedded base model, in the two files of a Hugging Face model folder: {@code tokenizer.json}
 * (byte-level BPE) and {@code tokenizer_config.json} (special tokens, ChatML template). No token is put before a text.
 */
public final class WorldTokenizer {
    /** Ends a document; the id is its place in {@link #SPECIAL_TOKENS}. */
    public static final String END_OF_TEXT = "<|endoftext|>";

    /** The special tokens, which take the first ids. */
    public static final List<String> SPECIAL_TOKENS = List.of(END_OF_TEXT, "<|im_start|>", "<|im_end|>", "<|pad|>");

    /** Size of the embedded model's vocabulary. */
    public static final int VOCABULARY_SIZE = 1536;

    private static final int SAMPLE_DOCUMENTS = 20_000;
    private static final int MODEL_MAX_LENGTH = 512;
    private static final JsonMapper JSON = new JsonMapper();

    private static final String CHAT_TEMPLATE = """
            {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' \
            + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""";

    private WorldTokenizer() {}

    /**
     * Learns the vocabulary from the first documents of the corpus with a seed, each of them also with its words on lines
     * of their own: so a word gets a token without a space before it where it gets one with, and a value in quotes is as
     * short as the same word in a sentence.
     */
    public static Vocabulary train(long corpusSeed) {
        Stream<String> sample = Corpus.stream(corpusSeed)
                .skip(Corpus.PRIMER_DOCUMENTS)
                .limit(SAMPLE_DOCUMENTS)
                .flatMap(document -> Stream.of(document, document.replace(' ', '\n')));
        return BpeTrainer.train(sample, SPECIAL_TOKENS, VOCABULARY_SIZE);
    }

    /** Writes {@code tokenizer.json} and {@code tokenizer_config.json} into a folder. */
    public static void write(Vocabulary vocabulary, Path folder) {
        try {
            Files.createDirectories(folder);
            writeJson(folder.resolve("tokenizer.json"), tokenizer(vocabulary));
            writeJson(folder.resolve("tokenizer_config.json"), config());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void writeJson(Path file, ObjectNode json) throws IOException {
        Files.writeString(file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
    }

    private static ObjectNode tokenizer(Vocabulary vocabulary) {
        ObjectNode root = JSON.createObjectNode().put("version", "1.0");
        root.putNull("truncation");
        root.putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (String token : SPECIAL_TOKENS) {
            added.add(addedToken(token).put("id", vocabulary.tokens().indexOf(token)));
        }
        root.putNull("normalizer");
        ObjectNode split = root.putObject("pre_tokenizer").put("type", "Sequence");
        ArrayNode steps = split.putArray("pretokenizers");
        ObjectNode words = steps.addObject().put("type", "Split");
        words.putObject("pattern").put("Regex", BpeTrainer.SPLIT);
        words.put("behavior", "Isolated").put("invert", false);
        steps.add(byteLevel());
        root.putNull("post_processor");
        root.set("decoder", byteLevel());
        root.set("model", model(vocabulary));
        return root;
    }

    private static ObjectNode byteLevel() {
        return JSON.createObjectNode()
                .put("type", "ByteLevel")
                .put("add_prefix_space", false)
                .put("trim_offsets", true)
                .put("use_regex", false);
    }

    private static ObjectNode model(Vocabulary vocabulary) {
        ObjectNode model = JSON.createObjectNode().put("type", "BPE");
        model.putNull("dropout");
        model.putNull("unk_token");
        model.putNull("continuing_subword_prefix");
        model.putNull("end_of_word_suffix");
        model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
        ObjectNode ids = model.putObject("vocab");
        for (int id = 0; id < vocabulary.tokens().size(); id++) {
            ids.put(vocabulary.tokens().get(id), id);
        }
        ArrayNode merges = model.putArray("merges");
        vocabulary.merges().forEach(merge -> merges.add(merge.left() + " " + merge.right()));
        return model;
    }

    private static ObjectNode config() {
        ObjectNode config = JSON.createObjectNode();
        ObjectNode added = config.putObject("added_tokens_decoder");
        for (int id = 0; id < SPECIAL_TOKENS.size(); id++) {
            added.set(Integer.toString(id), addedToken(SPECIAL_TOKENS.get(id)));
        }
        config.putNull("bos_token");
        config.put("eos_token", END_OF_TEXT).put("pad_token", "<|pad|>");
        config.putNull("unk_token");
        config.put("add_bos_token", false).put("add_prefix_space", false);
        config.put("clean_up_tokenization_spaces", false);
        config.put("model_max_length", MODEL_MAX_LENGTH);
        config.put("tokenizer_class", "PreTrainedTokenizerFast");
        config.put("chat_template", CHAT_TEMPLATE);
        return config;
    }

    private static ObjectNode addedToken(String token) {
        return JSON.createObjectNode()
                .put("content", token)
                .put("lstrip", false)
                .put("normalized", false)
                .put("rstrip", false)
                .put("single_word", false)
                .put("special", true);
    }
}
