// Shows the newest picture, asks for the next one when it has it, and only while it is seen.
const RETRY = 1000; // ms after a failure, and between two looks whether anybody sees it
const OLD = 3000; // ms after which the last picture is no longer what happens now

export default {
  template: `
    <div class="camera">
      <template v-if="src && live">
        <img :src="src" alt="what the cameras see now">
        <div class="captions"><span v-for="name in names">{{ name }}</span></div>
      </template>
      <div v-else class="camera-none"><i class="material-icons">videocam_off</i>no picture</div>
    </div>`,
  data: () => ({ src: "", live: false, names: [] }),
  mounted() {
    this.number = 0;
    this.came = 0;
    this.mounted = true;
    this.next();
  },
  beforeUnmount() {
    this.mounted = false;
    URL.revokeObjectURL(this.src);
  },
  methods: {
    async next() {
      if (!this.mounted) return;
      let wait = RETRY;
      if (!document.hidden && this.$el.offsetParent) {
        try {
          const answer = await fetch(`/picture/${this.number}`);
          if (answer.ok) wait = 0;
          if (answer.status === 200) this.show(await answer.blob(), answer.headers);
        } catch {} // the console is away: it is asked again
      }
      this.live = Date.now() - this.came < OLD;
      setTimeout(() => this.next(), wait);
    },
    show(picture, headers) {
      const before = this.src;
      this.src = URL.createObjectURL(picture);
      this.number = headers.get("x-number");
      const names = decodeURIComponent(headers.get("x-names"));
      if (names !== this.names.join()) this.names = names.split(",");
      this.came = Date.now();
      if (before) setTimeout(() => URL.revokeObjectURL(before), RETRY);
    },
  },
};
