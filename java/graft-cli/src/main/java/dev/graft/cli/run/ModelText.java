package dev.graft.cli.run;

import dev.graft.data.ChatTemplate;
import dev.graft.data.Dataset;
import dev.graft.data.DatasetReader;
import dev.graft.data.Tokenizer;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A model folder's tokenizer and chat template, loaded when first asked for: pre-tokenised data needs neither. */
public final class ModelText implements AutoCloseable {
    private final Path model;
    private @Nullable Tokenizer tokenizer;
    private @Nullable ChatTemplate template;

    public ModelText(Path model) {
        this.model = model;
    }

    public Tokenizer tokenizer() {
        if (tokenizer == null) {
            tokenizer = Tokenizer.load(model);
        }
        return tokenizer;
    }

    public ChatTemplate template() {
        if (template == null) {
            template = ChatTemplate.load(model);
        }
        return template;
    }

    /** Reads a data file for a model of this vocabulary. */
    public Dataset read(Path file, int seqLen, int vocabSize) {
        return DatasetReader.read(file, this::tokenizer, this::template, seqLen, vocabSize);
    }

    @Override
    public void close() {
        if (tokenizer != null) {
            tokenizer.close();
        }
    }
}
