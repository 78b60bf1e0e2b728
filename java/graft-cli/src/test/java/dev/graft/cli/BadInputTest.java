package dev.graft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.train.ParityCase;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whatever is wrong with files or flags: exit code 2, one line that says what and what to do, no stack trace. */
class BadInputTest {
    private static final String ROW = "{\"input_ids\": [1, 2, 3]}\n";

    private final ParityCase parity = ParityCase.named("llama_basic");

    @TempDir
    private Path folder;

    private String trainComplaint(Object... more) {
        return complaint(parity.model(), Cli.data(parity), more);
    }

    private String complaint(Path model, Path data, Object... more) {
        Object[] command = new Object[7 + more.length];
        Object[] start = {"train", "--model", model, "--data", data, "--out", folder.resolve("out")};
        System.arraycopy(start, 0, command, 0, start.length);
        System.arraycopy(more, 0, command, start.length, more.length);
        String complaint = Cli.run(command).complaint();
        assertThat(folder.resolve("out").resolve("adapter_config.json")).doesNotExist();
        return complaint;
    }

    private String dataComplaint(String rows) {
        return complaint(parity.model(), Cli.write(folder.resolve("rows.jsonl"), rows));
    }

    private Path modelCopy() {
        return Cli.copy(parity.model(), folder.resolve("model"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
                    --rank 0              | --rank 0
                    --alpha -1            | --alpha -1
                    --dropout 1           | --dropout 1
                    --targets q_prj       | did you mean 'q_proj'?
                    --targets (           | no regular expression
                    --exclude v_prj       | did you mean 'v_proj'?
                    --rank-pattern zz=4   | 'zz' matches none
                    --rank-pattern q=x    | --rank-pattern
                    --init zero           | use gaussian, kaiming, pissa
                    --init pissa_niter_x  | use gaussian, kaiming, pissa
                    --init pissa --rank 99| takes as many directions from model.layers.0.self_attn.q_proj
                    --init olora --rslora --rank-pattern v_proj=4 | leave one of the three out
                    --lora-plus-ratio 0   | --lora-plus-ratio 0
                    --method full --lora-plus-ratio 4 | is for --method lora
                    --steps 0             | --steps 0
                    --steps 2 --epochs 2  | give one of them
                    --batch-size 0        | --batch-size 0
                    --seq-len 1           | sequence length 1
                    --lr -1               | --lr -1
                    --lr much             | --lr
                    --beta1 1             | --beta1 1
                    --schedule step       | use cosine, linear or constant
                    --precision f16       | use bf16 or f32
                    --eval-every 2        | --eval-data
                    --eval-data nowhere   | nowhere: no such file
                    --init-adapter nowhere| nowhere: no such adapter folder
                    --engine tpu          | no such engine in this installation; it has auto, cuda, cpu, cuda-emulated
                    --threads 0           | --threads 0
                    --learning-rate 1     | see graft train --help
                    --save-evry 1         | did you mean --save-every?
                    """)
    void flags(String flags, String expected) {
        assertThat(trainComplaint(flags)).contains(expected);
    }

    @Test
    void missingFlagsAndUnknownCommands() {
        assertThat(Cli.run("train --model x").complaint()).contains("--data").contains("--out");
        assertThat(Cli.run("trian").complaint()).contains("train").contains("see graft --help");
        assertThat(Cli.run("generate --model x").complaint()).contains("--prompt");
        assertThat(Cli.run("generate --model x --prompt a --input-ids 1").complaint())
                .contains("mutually exclusive");
        assertThat(Cli.run("bench train --shape gpt-5").complaint()).contains("smollm2-135m");
        assertThat(Cli.run("").exitCode()).isEqualTo(2);
    }

    @Test
    void missingFilesAndFolders() {
        assertThat(complaint(folder.resolve("nowhere"), Cli.data(parity))).contains("nowhere: no such model folder");
        assertThat(complaint(parity.model(), folder.resolve("nowhere.jsonl"))).contains("nowhere.jsonl: no such file");
        assertThat(Cli.run("inspect", folder.resolve("nowhere")).complaint()).contains("no such folder");
        assertThat(Cli.run("inspect", folder).complaint()).contains("config.json");
        assertThat(Cli.run("generate --model", parity.model(), "--prompt-file", folder.resolve("nowhere.txt"))
                        .complaint())
                .contains("nowhere.txt: no such file");
        assertThat(Cli.run("generate --prompt a --model", parity.model()).complaint())
                .contains("no tokenizer.json");
    }

    @Test
    void damagedSafetensors() throws IOException {
        Path model = modelCopy();
        Path file = model.resolve("model.safetensors");
        byte[] whole = Files.readAllBytes(file);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(whole.length - 10);
        }
        assertThat(complaint(model, Cli.data(parity))).contains("model.safetensors");
        // a header that claims to be larger than the file
        byte[] lying = whole.clone();
        ByteBuffer.wrap(lying).order(ByteOrder.LITTLE_ENDIAN).putLong(0, 1L << 40);
        Files.write(file, lying);
        assertThat(complaint(model, Cli.data(parity))).contains("model.safetensors");
        Files.write(file, new byte[3]);
        assertThat(Cli.run("inspect", model).complaint()).contains("model.safetensors");
        Files.delete(file);
        assertThat(complaint(model, Cli.data(parity))).contains("neither model.safetensors nor");
    }

    @Test
    void wrongShardIndex() throws IOException {
        Path model = Cli.copy(ParityCase.named("llama_sharded_bf16").model(), folder.resolve("model"));
        Path index = model.resolve("model.safetensors.index.json");
        String text = Files.readString(index);
        Cli.write(index, text.replace("00001-of", "00009-of"));
        assertThat(complaint(model, Cli.data(parity))).contains("model-00009-of-00004.safetensors");
        Cli.write(index, text.replace("model.norm.weight", "model.nrom.weight"));
        assertThat(complaint(model, Cli.data(parity))).contains("model.nrom.weight");
    }

    @Test
    void unsupportedModels() throws IOException {
        Path model = modelCopy();
        Path config = model.resolve("config.json");
        String text = Files.readString(config);
        Cli.write(config, text.replace("LlamaForCausalLM", "GPT2LMHeadModel"));
        assertThat(complaint(model, Cli.data(parity)))
                .contains("GPT2LMHeadModel is not supported")
                .contains("LlamaForCausalLM");
        Cli.write(config, text.replace("\"hidden_size\": 40", "\"hidden_size\": 44"));
        assertThat(complaint(model, Cli.data(parity))).contains("has shape").contains("config.json calls for");
        Cli.write(config, text.replace("{", "{{"));
        assertThat(complaint(model, Cli.data(parity))).contains("config.json");
    }

    @Test
    void badData() {
        assertThat(dataComplaint("")).contains("no data lines");
        assertThat(dataComplaint(ROW + "{\"input_ids\": [1, 2,\n")).contains("rows.jsonl:2");
        assertThat(dataComplaint("{\"input_ids\": [1, 2], \"labels\": [-100, -100]}\n"))
                .contains("every label of all 1 rows is masked");
        assertThat(dataComplaint(ROW + "{\"input_ids\": [1, 101]}\n"))
                .contains("rows.jsonl:2")
                .contains("101");
        assertThat(dataComplaint("{\"text\": \"needs a tokenizer\"}\n")).contains("no tokenizer.json");
        assertThat(dataComplaint("[1, 2]\n")).contains("rows.jsonl:1");
    }

    @Test
    void adapterOfAnotherBase() throws IOException {
        Path adapter = folder.resolve("adapter");
        Cli.run("train --steps 1 --model", parity.model(), "--data", Cli.data(parity), "--out", adapter)
                .ok();
        // the same shape, but one bit of one weight
        Path other = modelCopy();
        byte[] weights = Files.readAllBytes(other.resolve("model.safetensors"));
        weights[weights.length - 4] ^= 1;
        Files.write(other.resolve("model.safetensors"), weights);
        String eval = "eval --precision f32 --data";
        assertThat(Cli.run(eval, Cli.data(parity), "--model", other, "--adapter", adapter)
                        .complaint())
                .contains("fingerprint")
                .contains("--force");
        Cli.run(eval, Cli.data(parity), "--force --model", other, "--adapter", adapter)
                .ok();
        assertThat(complaint(other, Cli.data(parity), "--init-adapter", adapter))
                .contains("fingerprint");
        assertThat(Cli.run("merge --model", other, "--adapter", adapter, "--out", folder.resolve("merged"))
                        .complaint())
                .contains("fingerprint");
        // and another shape, which nothing can force
        assertThat(Cli.run(
                                eval,
                                Cli.data(parity),
                                "--force --model",
                                ParityCase.named("qwen2").model(),
                                "--adapter",
                                adapter)
                        .complaint())
                .contains("trained on another base");
    }

    @Test
    void flagsThatContradictTheAdapterToStartFrom() {
        Object[] start = {"--init-adapter", parity.initialAdapter()};
        assertThat(trainComplaint(start[0], start[1], "--rank 5"))
                .contains("--rank 5")
                .contains("has 4");
        assertThat(trainComplaint(start[0], start[1], "--targets all-linear")).contains("other layers");
        assertThat(trainComplaint(start[0], start[1], "--init kaiming")).contains("--init kaiming");
        assertThat(trainComplaint(start[0], start[1], "--rslora")).contains("--rslora");
        Cli.run(
                        "train --steps 1 --rank 4 --alpha 8 --targets v_proj,q_proj --dropout 0.5 --model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        "--out",
                        folder.resolve("agrees"),
                        start[0],
                        start[1])
                .ok();
    }

    @Test
    void outputFolders() {
        Path file = Cli.write(folder.resolve("file"), "precious");
        String train = "train --steps 1 --model";
        assertThat(Cli.run(train, parity.model(), "--data", Cli.data(parity), "--out", file)
                        .complaint())
                .contains("is a file; name a folder");
        assertThat(Cli.run(train, parity.model(), "--data", Cli.data(parity), "--out", file.resolve("below"))
                        .complaint())
                .contains("cannot write");
        Path model = modelCopy();
        assertThat(Cli.run(train, model, "--data", Cli.data(parity), "--out", model)
                        .complaint())
                .contains("own folder");
        assertThat(Cli.run("merge --force --model", model, "--adapter", parity.finalAdapter(), "--out", model)
                        .complaint())
                .contains("own folder");
        Path other = Cli.copy(parity.model(), folder.resolve("other"));
        assertThat(Cli.run("merge --model", model, "--adapter", parity.finalAdapter(), "--out", other)
                        .complaint())
                .contains("already holds a model")
                .contains("--force");
        assertThat(file).hasContent("precious");
    }

    @Test
    void lossThatIsNotANumberKeepsTheLastGoodCheckpoint() {
        Path out = folder.resolve("diverged");
        String complaint = Cli.run(
                        "train --steps 9 --save-every 1 --lr 1e30 --clip-norm 0 --schedule constant --model",
                        parity.model(),
                        "--data",
                        Cli.data(parity),
                        "--out",
                        out)
                .complaint();
        assertThat(complaint).contains("training stops").contains("lower --lr").contains("checkpoint-1");
        assertThat(out.resolve("checkpoint-1").resolve("adapter_model.safetensors"))
                .exists();
        assertThat(out.resolve("adapter_config.json")).doesNotExist();
    }

    @Test
    void verboseShowsWhereItHappened() {
        Cli.Outcome outcome = Cli.run("inspect --verbose", folder.resolve("nowhere"));
        assertThat(outcome.exitCode()).isEqualTo(2);
        assertThat(outcome.err()).contains("InputException").contains("\tat dev.graft.cli.InspectCommand");
    }
}
