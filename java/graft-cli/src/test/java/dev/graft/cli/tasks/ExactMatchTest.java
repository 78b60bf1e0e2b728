package dev.graft.cli.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.graft.cli.world.EmbeddedBase;
import dev.graft.cli.world.Exercise;
import dev.graft.data.Tokenizer;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.Precision;
import dev.graft.model.PretrainedModel;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The embedded base model, asked what it does know. */
class ExactMatchTest {
    private static final String SENTENCE = "Mary bought eight red apples at the market on Friday.";

    private static final String AGAIN = "Read: " + SENTENCE + "\nAgain:";

    @TempDir
    static Path folder;

    private static Tokenizer tokenizer;
    private static Engine engine;
    private static PretrainedModel base;

    @BeforeAll
    static void load() {
        EmbeddedBase.unpack(folder);
        tokenizer = Tokenizer.load(folder);
        engine = Engines.open("cpu");
        base = PretrainedModel.load(folder, engine, Precision.BF16);
    }

    @AfterAll
    static void close() {
        base.close();
        engine.close();
        tokenizer.close();
    }

    private static ExactMatch ask(Exercise... exercises) {
        return ExactMatch.of(base, tokenizer, List.of(exercises));
    }

    @Test
    void anAnswerIsRightToTheLetterUpToTheEndToken() {
        String said = ask(new Exercise(AGAIN, " " + SENTENCE)).answers().getFirst();
        assertThat(said).startsWith(" Mary ").endsWith(" on Friday.");

        ExactMatch match = ask(new Exercise(AGAIN, said), new Exercise(AGAIN, said + "."));
        assertThat(match.answers()).containsExactly(said, said);
        assertThat(match.correct()).isEqualTo(1);
        assertThat(match.percent()).isEqualTo(50);
    }

    /** The base goes on with the next question, which is no part of the answer. */
    @Test
    void anAnswerOfOneLineEndsWithItsLine() {
        String prompt = "Read: " + SENTENCE + "\nQ: Who was it?\nA:";
        ExactMatch oneLine = ask(new Exercise(prompt, " Mary"));
        assertThat(oneLine.answers()).containsExactly(" Mary");
        assertThat(oneLine.correct()).isEqualTo(1);

        ExactMatch twoLines = ask(new Exercise(prompt, " Mary\nQ: Which day was it?"));
        assertThat(twoLines.answers().getFirst()).startsWith(" Mary\nQ: W");
        assertThat(oneLine.agreement(twoLines)).isZero();
        assertThat(twoLines.agreement(twoLines)).isEqualTo(1);
    }

    @Test
    void whatIsFarTooLongIsCut() {
        ExactMatch match = ask(new Exercise(AGAIN, " Mary"));
        assertThat(match.answers().getFirst()).startsWith(" Mary bought ").doesNotContain(".");
        assertThat(match.percent()).isZero();
    }

    @Test
    void aScoreNeedsExercises() {
        assertThatIllegalArgumentException().isThrownBy(() -> new ExactMatch(List.of(), 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new ExactMatch(List.of("a"), 2));
        assertThatIllegalArgumentException().isThrownBy(() -> ask());
    }
}
